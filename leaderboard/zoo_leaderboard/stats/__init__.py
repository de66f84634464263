"""Statistics of scores over seeds and datasets: pure functions of numbers.

The definitions are those of Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice" (arXiv:2108.13264), as in its library rliable, extended to unequal numbers
of seeds: every dataset weighs the same, and every run of a dataset the same. With equal numbers
the values are rliable's. Whether two means differ is Welch's test, which Colas et al. 2019
(arXiv:1904.06979) found the most robust for a few seeds. All are reproducible: the bootstrap has a
generator of its own.
"""

from zoo_leaderboard.stats.aggregates import Aggregates, aggregates, mean, standard_deviation
from zoo_leaderboard.stats.difference import (
    ALPHA,
    Difference,
    Moments,
    difference,
    difference_of_moments,
    moments,
    not_worse,
    significant,
)
from zoo_leaderboard.stats.improvement import probability_of_improvement
from zoo_leaderboard.stats.profiles import Profile, performance_profile
from zoo_leaderboard.stats.ranks import average_ranks
from zoo_leaderboard.stats.resampling import Interval, Scores
from zoo_leaderboard.stats.ties import levels, resolution

__all__ = [
    "ALPHA",
    "Aggregates",
    "Difference",
    "Interval",
    "Moments",
    "Profile",
    "Scores",
    "aggregates",
    "average_ranks",
    "difference",
    "difference_of_moments",
    "levels",
    "mean",
    "moments",
    "not_worse",
    "performance_profile",
    "probability_of_improvement",
    "resolution",
    "significant",
    "standard_deviation",
]
