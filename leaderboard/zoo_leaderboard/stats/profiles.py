"""Performance profiles: what share of the runs is above a score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from zoo_leaderboard.stats.resampling import (
    CONFIDENCE,
    REPETITIONS,
    Floats,
    Scores,
    by_dataset,
    counts,
)


class Profile(NamedTuple):
    """The share of runs above each score, with the ends of pointwise 95 % intervals, each [T];
    the ends are NaN where a dataset has a single run."""

    value: Floats
    low: Floats
    high: Floats


def performance_profile(
    scores: Scores, above: ArrayLike, *, repetitions: int = REPETITIONS, seed: int = 0
) -> Profile:
    """The run-score distribution of Agarwal et al. 2021, section 4.1.

    Args:
        scores: Per dataset, its runs' scores; every dataset weighs the same.
        above: The scores [T] at which the profile is taken.
        repetitions: Resamples of the interval.
        seed: Of the resampling.

    Raises:
        ValueError: no dataset, or one without a score.
    """
    runs = by_dataset(scores)
    levels = np.asarray(above, dtype=np.float64)
    exceeds = [(run[:, None] > levels).astype(np.float64) / run.size for run in runs]
    value = np.mean([share.sum(axis=0) for share in exceeds], axis=0)
    if any(run.size == 1 for run in runs):
        unknown = np.full(levels.shape, np.nan)
        return Profile(value, unknown, unknown)
    resampled = np.zeros((repetitions, levels.size))
    for place, (run, share) in enumerate(zip(runs, exceeds, strict=True)):
        resampled += counts(run.size, repetitions, seed, place).T @ share / len(runs)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100.0 - tail], axis=0)
    return Profile(value, low, high)
