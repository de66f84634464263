"""How probable it is that a run of one algorithm beats a run of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo_leaderboard.stats.aggregates import mean
from zoo_leaderboard.stats.resampling import (
    REPETITIONS,
    Floats,
    Interval,
    Scores,
    by_dataset,
    counts,
    interval,
)
from zoo_leaderboard.stats.ties import levels, resolution


def _wins(x: Floats, y: Floats) -> NDArray[np.float32]:
    """1 where a run of X beats one of Y and 1/2 where they are equal, [X, Y]."""
    level = levels(np.concatenate([x, y]), resolution([x, y]))
    a, b = level[: x.size, None], level[None, x.size :]
    return np.asarray((a > b) + 0.5 * (a == b), dtype=np.float32)


def probability_of_improvement(
    x: Scores, y: Scores, *, repetitions: int = REPETITIONS, seed: int = 0
) -> Interval:
    """How probable it is that a run of X beats a run of Y on a dataset chosen at random.

    Args:
        x: Per dataset, the scores of X's runs.
        y: The same datasets in the same order for Y.
        repetitions: Resamples of the interval, of the runs of both within each dataset.
        seed: Of the resampling.

    Raises:
        ValueError: other numbers of datasets, or a dataset without a score.
    """
    xs, ys = by_dataset(x), by_dataset(y)
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} datasets against {len(ys)}")
    wins = [_wins(a, b) for a, b in zip(xs, ys, strict=True)]
    value = mean([float(won.mean(dtype=np.float64)) for won in wins])
    total = np.zeros(repetitions)
    for place, won in enumerate(wins):
        # Resampled runs are the same pairs with other counts: no pair is compared again.
        n, m = won.shape
        first = counts(n, repetitions, seed, place)
        second = counts(m, repetitions, seed, place, 1)
        total += np.einsum("mr,mr->r", won.T @ first, second) / (n * m)
    return interval(value, total / len(wins), [*xs, *ys])
