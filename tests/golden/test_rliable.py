"""Statistics as rliable computes them, for equal numbers of seeds."""

import json
from pathlib import Path

import numpy as np
import pytest

from zoo_leaderboard import stats

GOLDEN = json.loads((Path(__file__).parent / "rliable.json").read_text())
X = np.array([[(7 * i * i + 13 * j * j + 5 * i * j) % 101 for i in range(5)] for j in range(6)])
Y = np.array([[(11 * i * i + 3 * j * j + 17 * i * j + 9) % 97 for i in range(7)] for j in range(6)])
RESAMPLING = 0.06
"""Two bootstraps of some thousand resamples agree at their ends to a part of their interval."""


def same(found, golden):
    value, low, high = golden
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.low == pytest.approx(low, abs=RESAMPLING * (high - low))
    assert found.high == pytest.approx(high, abs=RESAMPLING * (high - low))


@pytest.mark.parametrize(("name", "scores"), [("x", X), ("y", Y)])
@pytest.mark.parametrize("aggregate", ["mean", "median", "iqm", "optimality_gap"])
def test_aggregates_and_their_intervals(name, scores, aggregate):
    found = stats.aggregates(list(scores), repetitions=4000)
    same(getattr(found, aggregate), GOLDEN[name][aggregate])


def test_the_probability_of_improvement():
    found = stats.probability_of_improvement(list(X), list(Y), repetitions=4000)
    same(found, GOLDEN["x_improves_on_y"])


def test_the_performance_profile():
    found = stats.performance_profile(list(X), GOLDEN["taus"])
    assert found.value.tolist() == pytest.approx(GOLDEN["profile_x"])
