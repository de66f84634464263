"""Changes in the data that are lost in float32, the dtype of training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDING = 2.0**-44
"""Relative change of a float64 number that still counts as rounding: some hundred spacings."""
LOST, AVOIDABLE = 0.5, 0.01
"""Shares of a column's changes above which the user is warned: those that float32 loses, and those
that it would keep if the column were measured from its middle."""
CHUNK = 1 << 16
"""Rows that are compared at once."""


class Changes:
    """Counts the changes of columns from row to row, and those that float32 loses.

    Args:
        label: Singular name of a column in messages, such as `observation`.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._waiting: list[NDArray[np.generic]] = []
        self._rows = 0
        self._changed: NDArray[np.int64] | int = 0
        self._lost: NDArray[np.int64] | int = 0
        self._avoidable: NDArray[np.int64] | int = 0
        self._low: NDArray[np.float64] | float = np.inf
        self._high: NDArray[np.float64] | float = -np.inf

    def add(self, rows: NDArray[np.generic]) -> None:
        """Takes the next rows [T, D], in the dtype of the file."""
        if np.can_cast(rows.dtype, np.float32, "safe") or not len(rows):
            return
        self._waiting.append(rows)
        self._rows += len(rows)
        if self._rows >= CHUNK:
            self._count()

    def _count(self) -> None:
        rows = np.concatenate(self._waiting)
        self._low = np.minimum(self._low, rows.min(0).astype(np.float64))
        self._high = np.maximum(self._high, rows.max(0).astype(np.float64))
        numbers, single = rows.astype(np.float64), rows.astype(np.float32)
        rounding = ROUNDING * np.abs(numbers[1:]) if rows.dtype.kind == "f" else 0.0
        change = np.abs(np.diff(numbers, axis=0))
        changed = (rows[1:] != rows[:-1]) & (change >= rounding)
        lost = changed & (single[1:] == single[:-1])
        kept = change > np.finfo(np.float32).eps * (self._high - self._low)
        self._changed = self._changed + changed.sum(0)
        self._lost = self._lost + lost.sum(0)
        self._avoidable = self._avoidable + (lost & kept).sum(0)
        # The last row is the first of the next comparison.
        self._waiting, self._rows = [rows[-1:]], 1

    def notes(self, name: str) -> list[str]:
        """One line about columns whose changes float32 mostly loses; empty if there are none."""
        if self._rows > 1:
            self._count()
        changed, lost = np.atleast_1d(self._changed), np.atleast_1d(self._lost)
        avoidable = np.atleast_1d(self._avoidable)
        columns = np.flatnonzero((lost > LOST * changed) | (avoidable > AVOIDABLE * changed))
        if not len(columns):
            return []
        first = int(columns[0])
        low, high = np.atleast_1d(self._low)[first], np.atleast_1d(self._high)[first]
        more = f" (and of {len(columns) - 1} more)" if len(columns) > 1 else ""
        share = lost[first] / changed[first]
        return [
            f"dataset '{name}': float32 merges {share:.0%} of the successive values of "
            f"{self.label} {first}{more}, {low:.10g} to {high:.10g}; shift or rescale it in the "
            "data and in the environment"
        ]
