"""Equality of numbers of which one copy may have been rounded to fewer digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FORMATS = (np.float16, np.float32)
_ARITHMETIC = 16 * 2.0**-24
"""Maximum error of shifting and scaling in float32, relative to the spread of a column's values."""


def equal_rows(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """[N], whether two rows [N, D] are the same numbers, in any unit.

    A column is compared at the coarser precision of its two copies (float16, float32 or float64,
    by its values, whatever type holds them): they may differ by two of that format's steps, and by
    a millionth of the column's median absolute deviation. NaN equals NaN.
    """
    equal = first == second
    for column in np.flatnonzero(~equal.all(0)):
        rows = np.flatnonzero(~equal[:, column])
        a, b = (array[:, column].astype(np.float64) for array in (first, second))
        equal[rows, column] = _close(a, b, rows)
    same: NDArray[np.bool_] = equal.all(1)
    return same


def _close(a: NDArray[Any], b: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        largest = np.maximum(np.abs(a[rows]), np.abs(b[rows]))
        step = np.spacing(largest)
        formats = _format(a), _format(b)
        # Rounding changes most numbers; where most are equal, the finer format counts.
        rounded = formats[0] != formats[1] and 2 * len(rows) > len(a)
        coarser = min(formats) if rounded else max(1, *formats)
        if coarser < len(_FORMATS):
            step = np.spacing(largest.astype(_FORMATS[coarser])).astype(np.float64)
        spread = np.nanmedian(np.abs(a - np.nanmedian(a))) if np.isfinite(a).any() else 0.0
        near: NDArray[np.bool_] = np.abs(a[rows] - b[rows]) <= 2.0 * step + _ARITHMETIC * spread
    same: NDArray[np.bool_] = near | (np.isnan(a[rows]) & np.isnan(b[rows]))
    return same


def _format(column: NDArray[Any]) -> int:
    """The coarsest format that holds all of a column's values: its index, or 2 for float64."""
    for index, kind in enumerate(_FORMATS):
        if np.array_equal(column.astype(kind).astype(np.float64), column, equal_nan=True):
            return index
    return len(_FORMATS)
