"""Which statistics of scores are equal, though floating point rounded them differently."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo_leaderboard.stats.resampling import Floats

RESOLUTION = 1e-12
"""Share of the largest absolute score below which a difference is rounding and no result: sums of
thousands of scores round to some 1e-13, and evaluations differ by far more."""


def resolution(runs: Iterable[ArrayLike]) -> float:
    """The difference up to which statistics of these scores count as equal."""
    return RESOLUTION * max((float(np.abs(run).max(initial=0.0)) for run in runs), default=0.0)


def levels(values: Floats, tolerance: float | Floats) -> NDArray[np.int64]:
    """The level of each value among those of the last axis, 0 for the smallest.

    Values that differ from their next neighbour by at most the tolerance share a level.

    Args:
        values: [..., N].
        tolerance: One for all, or one per line, [..., 1].
    """
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    above = np.diff(ordered, axis=-1) > tolerance
    steps = np.cumsum(above, axis=-1, dtype=np.int64)
    found = np.zeros(values.shape, dtype=np.int64)
    np.put_along_axis(found, order[..., 1:], steps, axis=-1)
    return found
