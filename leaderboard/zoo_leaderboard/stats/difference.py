"""Whether two algorithms' means differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zoo_leaderboard.stats.resampling import Scores, by_dataset

ALPHA = 0.05
"""The level of all tests."""


class Difference(NamedTuple):
    """The difference of two means and how probable one at least as large is by chance."""

    value: float
    p_value: float
    """1 where nothing can be said, because a dataset has a single run."""


def difference(x: Scores, y: Scores) -> Difference:
    """Welch's test of the mean over datasets of the means over runs.

    The standard error is that of a stratified mean, sqrt(sum_d (s_x^2 / n + s_y^2 / m)) / D, with
    Satterthwaite's degrees of freedom; on one dataset it is Welch's t-test (recommended for few
    seeds by Colas et al. 2019, arXiv:1904.06979).

    Args:
        x: Per dataset, the scores of X's runs.
        y: The same datasets in the same order for Y.

    Raises:
        ValueError: other numbers of datasets, or a dataset without a score.
    """
    from scipy.stats import t

    xs, ys = by_dataset(x), by_dataset(y)
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} datasets against {len(ys)}")
    count = len(xs)
    value = math.fsum([*(run.mean() for run in xs), *(-run.mean() for run in ys)]) / count
    runs = [*xs, *ys]
    if any(run.size == 1 for run in runs):
        return Difference(value, 1.0)
    parts = [float(run.var(ddof=1)) / run.size / count**2 for run in runs]
    variance = math.fsum(parts)
    if variance == 0.0:
        return Difference(value, 1.0 if value == 0.0 else 0.0)
    freedom = variance**2 / math.fsum(
        part**2 / (run.size - 1) for part, run in zip(parts, runs, strict=True)
    )
    return Difference(value, float(2.0 * t.sf(abs(value) / math.sqrt(variance), freedom)))


def not_worse(rows: Mapping[str, Scores]) -> set[str]:
    """The rows whose `difference` to the one with the highest mean is not significant at `ALPHA`,
    and that one.

    Args:
        rows: Per row and dataset, the scores of its runs.
    """
    if not rows:
        return set()
    means = {
        label: np.mean([run.mean() for run in by_dataset(scores)]) for label, scores in rows.items()
    }
    best = rows[max(means, key=lambda label: means[label])]
    return {label for label, scores in rows.items() if difference(best, scores).p_value >= ALPHA}


def significant(p_values: Sequence[float]) -> list[bool]:
    """Which of several tests are significant at `ALPHA` together (Holm 1979): the probability of
    any false one is at most `ALPHA`."""
    found = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] > ALPHA / (len(p_values) - rank):
            break
        found[place] = True
    return found
