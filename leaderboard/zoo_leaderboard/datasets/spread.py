"""Actions that vary within a small share of their bounds, which scaling makes almost constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_core.precision import ROUNDING
from zoo_leaderboard.datasets.spaces import ActionScaling

NARROW, INVISIBLE = 1e-3, 1e-5
"""Shares of its bounds by which an action varies, below which the user is warned, or refused."""


class Spread:
    """The range of the actions of a dataset, in the environment's scale."""

    def __init__(self) -> None:
        self._low: NDArray[np.float64] | float = np.inf
        self._high: NDArray[np.float64] | float = -np.inf

    def add(self, actions: NDArray[np.generic]) -> None:
        """Takes the next actions [T, A]."""
        self._low = np.minimum(self._low, actions.min(0))
        self._high = np.maximum(self._high, actions.max(0))

    def notes(self, name: str, scaling: ActionScaling) -> list[str]:
        """One line if actions vary within a small share of their bounds; none otherwise.

        Raises:
            ZooError: no action varies by as much as float32 can tell apart within its bounds.
        """
        low, high = np.atleast_1d(self._low), np.atleast_1d(self._high)
        varied = high - low > ROUNDING * np.maximum(np.abs(low), np.abs(high))
        share = (high - low) / (2.0 * scaling.half)
        narrow = np.flatnonzero(varied & (share < NARROW))
        if not len(narrow):
            return []
        first = int(narrow[0])
        more = f" (and {len(narrow) - 1} more)" if len(narrow) > 1 else ""
        line = (
            f"dataset '{name}': action {first}{more} varies by {share[first]:.1g} of its bounds, "
            f"{scaling.low[first]:g} to {scaling.high[first]:g}"
        )
        if (share[varied] < INVISIBLE).all():
            raise ZooError(f"{line}; give its action space the bounds of the actions")
        return [f"{line}; tighter bounds in its action space would train better"]
