"""Statistics of scores over seeds and datasets: pure functions of numbers.

The definitions are those of Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice" (arXiv:2108.13264), as in its library rliable, extended to unequal numbers
of seeds: every dataset weighs the same, and every run of a dataset the same. With equal numbers
the values are rliable's. All are reproducible: the bootstrap has a generator of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Scores = Sequence[ArrayLike]
"""Per dataset, the scores of its runs; the numbers of runs may differ."""
Statistic = Callable[[Floats, Floats], Floats]
"""(scores [..., N], weights [N]) -> [...]; the weights are positive and sum to 1."""


class Interval(NamedTuple):
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """The mean, exactly rounded, so that it does not depend on the order."""
    return math.fsum(values) / len(values)


def standard_deviation(scores: ArrayLike) -> float:
    """The sample standard deviation over runs (divisor n - 1); NaN for a single run."""
    values = np.asarray(scores, dtype=np.float64)
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")


def weighted_mean(scores: Floats, weights: Floats) -> Floats:
    """The mean over the last dimension."""
    return np.asarray(scores @ weights)


def interquartile_mean(scores: Floats, weights: Floats) -> Floats:
    """The mean of the middle half, over the last dimension.

    As `scipy.stats.trim_mean(scores, 0.25)`: floor(N / 4) runs' worth of weight goes at each end,
    so that with equal weights whole runs are cut.
    """
    order = np.argsort(scores, axis=-1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=-1)
    weight = np.broadcast_to(weights, scores.shape)
    weight = np.take_along_axis(weight, order, axis=-1)
    n = scores.shape[-1]
    cut = (n // 4) / n
    above = np.cumsum(weight, axis=-1)
    # The part of each run's stretch of weight that lies inside [cut, 1 - cut].
    inside = np.clip(above, cut, 1.0 - cut) - np.clip(above - weight, cut, 1.0 - cut)
    return np.asarray((ordered * inside).sum(-1) / inside.sum(-1))


def _flat(scores: Scores) -> tuple[list[Floats], Floats]:
    runs = [np.asarray(run, dtype=np.float64).reshape(-1) for run in scores]
    if not runs or any(run.size == 0 for run in runs):
        raise ValueError("every dataset needs at least one score")
    weights = np.concatenate([np.full(run.size, 1.0 / (len(runs) * run.size)) for run in runs])
    return runs, weights


def aggregate(
    scores: Scores,
    statistic: Statistic = interquartile_mean,
    *,
    confidence: float = 0.95,
    repetitions: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic over all runs of all datasets with a stratified percentile-bootstrap interval.

    Runs are drawn with replacement within each dataset, so that every resample has every dataset
    as often as the original.

    Args:
        scores: Per dataset, its runs' scores.
        statistic: `interquartile_mean` or `weighted_mean`.
        confidence: Of the interval, in (0, 1).
        repetitions: Resamples.
        seed: Of the resampling.

    Raises:
        ValueError: no dataset, or one without a score.
    """
    runs, weights = _flat(scores)
    value = float(statistic(np.concatenate(runs), weights))
    generator = np.random.default_rng(seed)
    drawn = [run[generator.integers(0, run.size, (repetitions, run.size))] for run in runs]
    resampled = statistic(np.concatenate(drawn, axis=1), weights)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(resampled, [tail, 100.0 - tail])
    return Interval(value, float(low), float(high))


@functools.lru_cache(maxsize=256)
def _draws(runs: int, repetitions: int, *seed: int) -> Floats:
    """How often each run is in each resample, [repetitions, runs]."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(runs, np.full(runs, 1.0 / runs), repetitions)
    return drawn.astype(np.float64)


def _wins(x: ArrayLike, y: ArrayLike) -> Floats:
    """1 where a run of X beats one of Y and 1/2 where they are equal, [X, Y]."""
    a = np.asarray(x, dtype=np.float64).reshape(-1, 1)
    b = np.asarray(y, dtype=np.float64).reshape(1, -1)
    return np.asarray((a > b) + 0.5 * (a == b), dtype=np.float64)


def improves(x: ArrayLike, y: ArrayLike) -> float:
    """P(X > Y) + P(X = Y) / 2 on one dataset: the Mann-Whitney statistic over n m."""
    return float(_wins(x, y).mean())


def probability_of_improvement(
    x: Scores,
    y: Scores,
    *,
    confidence: float = 0.95,
    repetitions: int = 2000,
    seed: int = 0,
) -> Interval:
    """How probable it is that a run of X beats a run of Y on a dataset chosen at random.

    Args:
        x: Per dataset, the scores of X's runs.
        y: The same datasets in the same order for Y.
        confidence: Of the interval, which resamples the runs of both within each dataset.
        repetitions: Resamples.
        seed: Of the resampling.

    Raises:
        ValueError: other numbers of datasets, or a dataset without a score.
    """
    xs, ys = _flat(x)[0], _flat(y)[0]
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} datasets against {len(ys)}")
    wins = [_wins(a, b) for a, b in zip(xs, ys, strict=True)]
    value = float(np.mean([won.mean() for won in wins]))
    total = np.zeros(repetitions)
    for place, won in enumerate(wins):
        # Resampled runs are the same pairs with other counts: no pair is compared again.
        n, m = won.shape
        first = _draws(n, repetitions, seed, place, 0)
        second = _draws(m, repetitions, seed, place, 1)
        total += ((first @ won) * second).sum(1) / (n * m)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(total / len(wins), [tail, 100.0 - tail])
    return Interval(value, float(low), float(high))
