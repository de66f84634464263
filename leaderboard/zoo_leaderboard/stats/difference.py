"""Whether two algorithms' means differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zoo_leaderboard.stats.aggregates import mean
from zoo_leaderboard.stats.resampling import Floats, Scores, by_dataset
from zoo_leaderboard.stats.ties import resolution

ALPHA = 0.05
"""The level of all tests."""


class Difference(NamedTuple):
    """The difference of two means and how probable one at least as large is by chance."""

    value: float
    p_value: float
    """1 where nothing can be said, because a dataset has a single run."""


class Moments(NamedTuple):
    """Number of runs, their mean and sample variance, each by dataset [D]."""

    runs: Floats
    mean: Floats
    variance: Floats
    tolerance: float
    """The difference up to which means of these scores are equal."""

    @property
    def tested(self) -> bool:
        """Whether a test can be made of them: every dataset has several runs."""
        return bool((self.runs > 1).all())


def moments(scores: Scores) -> Moments:
    """The moments of each dataset's runs; the variance of a single run is NaN.

    Raises:
        ValueError: no dataset, or one without a score.
    """
    runs = by_dataset(scores)
    return Moments(
        np.array([float(run.size) for run in runs]),
        np.array([math.fsum(run) / run.size for run in runs]),
        np.array([run.var(ddof=1) if run.size > 1 else math.nan for run in runs]),
        resolution(runs),
    )


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
    return difference_of_moments(moments(x), moments(y))


def difference_of_moments(x: Moments, y: Moments) -> Difference:
    """`difference`, of moments that are known.

    Raises:
        ValueError: other numbers of datasets.
    """
    from scipy.special import stdtr

    datasets = x.runs.size
    if datasets != y.runs.size:
        raise ValueError(f"{datasets} datasets against {y.runs.size}")
    value = (math.fsum(x.mean) - math.fsum(y.mean)) / datasets
    counts = np.concatenate([x.runs, y.runs])
    parts = np.concatenate([x.variance, y.variance]) / counts / datasets**2
    variance = float(parts.sum())
    if math.isnan(variance):
        return Difference(value, 1.0)
    tolerance = max(x.tolerance, y.tolerance)
    if abs(value) <= tolerance:
        return Difference(value, 1.0)
    if variance <= tolerance**2:
        return Difference(value, 0.0)
    freedom = variance**2 / float((parts**2 / (counts - 1.0)).sum())
    return Difference(value, float(2.0 * stdtr(freedom, -abs(value) / math.sqrt(variance))))


def not_worse(rows: Mapping[str, Scores]) -> set[str]:
    """The row with the highest mean and those whose `difference` to it is not significant at
    `ALPHA`; where several share the highest mean, to any of them.

    A row with a single run on a dataset cannot be tested and is left out; where only such rows are
    the highest nothing can be said of any, and all are in.

    Args:
        rows: Per row and dataset, the scores of its runs.
    """
    found = {label: moments(scores) for label, scores in rows.items()}
    if not found:
        return set()
    highest = max(mean(of.mean) for of in found.values())
    tolerance = max(of.tolerance for of in found.values())
    best = [of for of in found.values() if of.tested and mean(of.mean) >= highest - tolerance]
    if not best:
        return set(found)
    return {
        label
        for label, of in found.items()
        if of.tested and any(difference_of_moments(b, of).p_value >= ALPHA for b in best)
    }


def significant(p_values: Sequence[float]) -> list[bool]:
    """Which of several tests are significant at `ALPHA` together (Holm 1979): the probability of
    any false one is at most `ALPHA`."""
    found = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] > ALPHA / (len(p_values) - rank):
            break
        found[place] = True
    return found
