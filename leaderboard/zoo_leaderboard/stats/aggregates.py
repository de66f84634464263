"""One number for all of an algorithm's runs: mean, median, interquartile mean, optimality gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from zoo_leaderboard.stats.resampling import (
    REPETITIONS,
    Floats,
    Interval,
    Scores,
    by_dataset,
    counts,
    interval,
)

BLOCK = 100
"""Resamples at a time: those of some thousand runs then fit into a processor's cache."""
TARGET = 100.0
"""The score below which the optimality gap counts: the reference maximum."""


class Aggregates(NamedTuple):
    """An algorithm over several datasets, each with a 95 % interval."""

    mean: Interval
    """Of the datasets' means over runs."""
    median: Interval
    """Of the datasets' means over runs."""
    iqm: Interval
    """The interquartile mean over all runs."""
    optimality_gap: Interval
    """By how much the runs fail to reach `TARGET`, on average; smaller is better."""


def mean(values: Sequence[float] | Floats) -> float:
    """The mean, of the exact sum, so that it does not depend on the order."""
    return math.fsum(values) / len(values)


def standard_deviation(scores: ArrayLike) -> float:
    """The sample standard deviation over runs (divisor n - 1); NaN for a single run."""
    values = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")


def aggregates(scores: Scores, *, repetitions: int = REPETITIONS, seed: int = 0) -> Aggregates:
    """All aggregates with stratified bootstrap intervals.

    Args:
        scores: Per dataset, its runs' scores.
        repetitions: Resamples.
        seed: Of the resampling.

    Raises:
        ValueError: no dataset, or one without a score.
    """
    runs = by_dataset(scores)
    parts = []
    for begin in range(0, repetitions, BLOCK):
        block = slice(begin, min(begin + BLOCK, repetitions))
        drawn = [
            counts(run.size, repetitions, seed, place)[:, block].astype(np.float64)
            for place, run in enumerate(runs)
        ]
        parts.append(_of_resamples(runs, drawn))
    resampled = np.concatenate(parts, axis=1)
    values = _of_runs(runs)
    return Aggregates(*(interval(of, r, runs) for of, r in zip(values, resampled, strict=True)))


def _of_runs(runs: list[Floats]) -> tuple[float, ...]:
    """Each aggregate of the runs as they are."""
    means = [mean(run) for run in runs]
    weights = np.concatenate([np.full((run.size, 1), 1.0 / len(runs) / run.size) for run in runs])
    iqm = float(interquartile_mean(np.concatenate(runs), weights)[0])
    gaps = [mean(TARGET - np.minimum(run, TARGET)) for run in runs]
    return mean(means), float(np.median(means)), iqm, mean(gaps)


def _of_resamples(runs: list[Floats], drawn: list[Floats]) -> Floats:
    """Each aggregate of each resample, [4, R].

    Args:
        runs: Per dataset, its scores.
        drawn: Per dataset, how often each run is in each resample, [runs, R].
    """
    pairs = list(zip(runs, drawn, strict=True))
    means = np.stack([run @ c / run.size for run, c in pairs])
    flat = np.concatenate(runs)
    shares = np.concatenate([c / (len(runs) * run.size) for run, c in pairs])
    return np.stack(
        [
            means.mean(axis=0),
            np.median(means, axis=0),
            interquartile_mean(flat, shares),
            TARGET - np.minimum(flat, TARGET) @ shares,
        ]
    )


def interquartile_mean(scores: Floats, weights: Floats) -> Floats:
    """The mean of the middle half, [R].

    As `scipy.stats.trim_mean(scores, 0.25)`: floor(N / 4) runs' worth of weight goes at each end,
    so that with equal weights whole runs are cut.

    Args:
        scores: [N].
        weights: [N, R], each column's sum 1; a weight of 0 is a run that is absent.
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    cut = (scores.size // 4) / scores.size
    # The weight up to and with each run that lies inside [cut, 1 - cut]; each run counts with its
    # difference to the one before, summed by parts.
    inside = np.cumsum(weights[order], axis=0)
    np.clip(inside, cut, 1.0 - cut, out=inside)
    total = ordered[-1] * (1.0 - cut) - ordered[0] * cut - np.diff(ordered) @ inside[:-1]
    return np.asarray(total / (1.0 - 2.0 * cut))
