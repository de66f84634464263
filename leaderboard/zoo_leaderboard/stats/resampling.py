"""The stratified bootstrap: runs are drawn with replacement within each dataset."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Scores = Sequence[ArrayLike]
"""Per dataset, the scores of its runs; the numbers of runs may differ."""

CONFIDENCE = 0.95
"""Of all intervals."""
REPETITIONS = 2000
"""Resamples of a bootstrap."""


class Interval(NamedTuple):
    """A value with the ends of its interval, which are NaN where a dataset has a single run:
    nothing can be said of how it varies."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether the interval has ends."""
        return not math.isnan(self.low)

    def complement(self) -> Interval:
        """Of a probability, that of the opposite."""
        return Interval(1.0 - self.value, 1.0 - self.high, 1.0 - self.low)


def by_dataset(scores: Scores) -> list[Floats]:
    """Each dataset's scores as an array, in ascending order: no statistic depends on which seed
    has which score.

    Raises:
        ValueError: no dataset, or one without a score.
    """
    runs = [np.sort(np.asarray(run, dtype=np.float64), axis=None) for run in scores]
    if not runs or any(run.size == 0 for run in runs):
        raise ValueError("every dataset needs at least one score")
    return runs


@functools.lru_cache(maxsize=128)
def counts(runs: int, repetitions: int, *stream: int) -> NDArray[np.float32]:
    """How often each run is in each resample, [runs, repetitions].

    In single precision, which is exact for whole numbers and their products of this size.

    Args:
        runs: Of one dataset.
        repetitions: Resamples.
        stream: The seed and what else tells streams apart, such as the dataset's place.
    """
    generator = np.random.default_rng(stream)
    drawn = generator.multinomial(runs, np.full(runs, 1.0 / runs), repetitions)
    # By runs, so that sums over them add whole lines.
    found = np.ascontiguousarray(drawn.T, dtype=np.float32)
    found.setflags(write=False)
    return found


def interval(value: float, resampled: Floats, runs: Sequence[Floats]) -> Interval:
    """The percentile interval of a statistic.

    Args:
        value: Of the scores as they are.
        resampled: Of each resample.
        runs: The datasets' scores; with a single run in any the ends are NaN.
    """
    if any(run.size == 1 for run in runs):
        return Interval(float(value), math.nan, math.nan)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100.0 - tail])
    return Interval(float(value), float(low), float(high))
