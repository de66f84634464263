"""Average ranks of algorithms over datasets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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


def average_ranks(
    rows: Sequence[Scores], *, repetitions: int = REPETITIONS, seed: int = 0
) -> list[Interval]:
    """Each algorithm's rank by its mean over runs, 1 for the best, averaged over the datasets.

    Equal means share the average of their ranks, also where rounding makes them differ in their
    last digits. The intervals resample every algorithm's runs
    within each dataset, independently of the other algorithms'.

    Args:
        rows: Per algorithm and dataset, the scores of its runs; the same datasets for all.
        repetitions: Resamples.
        seed: Of the resampling.

    Raises:
        ValueError: other numbers of datasets, or a dataset without a score.
    """
    runs = [by_dataset(scores) for scores in rows]
    if len({len(datasets) for datasets in runs}) > 1:
        raise ValueError("every algorithm needs the same datasets")
    # [R, algorithms, datasets]; the first line is the runs as they are.
    means = np.stack(
        [_means(datasets, repetitions, seed, row) for row, datasets in enumerate(runs)], axis=1
    )
    tolerance = np.array([resolution(of_dataset) for of_dataset in zip(*runs, strict=True)])
    ranks = _ranks(-means, tolerance).mean(axis=2)
    return [
        interval(float(ranks[0, row]), ranks[1:, row], [r for other in runs for r in other])
        for row in range(len(runs))
    ]


def _means(datasets: Sequence[Floats], repetitions: int, seed: int, row: int) -> Floats:
    """The mean of each dataset and of its resamples, [1 + R, datasets].

    All rows have the same resamples of the runs' numbers, each in an order of its own: the k-th of
    one has nothing to do with the k-th of another.
    """
    order = np.random.default_rng((seed, row)).permutation(repetitions)
    columns = []
    for place, run in enumerate(datasets):
        drawn = run @ counts(run.size, repetitions, seed, place) / run.size
        columns.append(np.concatenate([[mean(run)], drawn[order]]))
    return np.stack(columns, axis=1)


def _ranks(values: Floats, tolerance: Floats) -> Floats:
    """Among the algorithms, equal ones sharing their average, [R, algorithms, datasets].

    Args:
        values: [R, algorithms, datasets].
        tolerance: Per dataset, the difference up to which values are equal, [datasets].
    """
    import pandas as pd

    lines = levels(values.transpose(0, 2, 1), tolerance[:, None])
    ranks: Floats = pd.DataFrame(lines.reshape(-1, lines.shape[2])).rank(axis=1).to_numpy()
    return ranks.reshape(lines.shape).transpose(0, 2, 1)
