import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_leaderboard import stats

finite = st.floats(-1e3, 1e3, allow_nan=False)


def iqm(scores):
    return stats.aggregate(scores, repetitions=2).value


def test_iqm_of_known_values():
    # Of 1..8 the middle half is 3, 4, 5, 6.
    assert iqm([range(1, 9)]) == pytest.approx(4.5)
    # floor(10 / 4) = 2 runs go at each end, as in rliable.
    assert iqm([[0, 0, 1, 2, 3, 4, 5, 6, 100, 1000]]) == pytest.approx(3.5)
    assert iqm([[7.0]]) == 7.0


def test_iqm_equals_scipys_trimmed_mean_for_equal_numbers_of_seeds():
    trim_mean = pytest.importorskip("scipy.stats").trim_mean
    generator = np.random.default_rng(1)
    for datasets, seeds in ((3, 3), (5, 4), (7, 1), (26, 5)):
        scores = generator.normal(size=(datasets, seeds))
        assert iqm(list(scores)) == pytest.approx(trim_mean(scores, 0.25, axis=None))


def test_iqm_weighs_datasets_the_same_whatever_their_seeds():
    # Repeating every run of one dataset adds no information about it.
    short = [[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]]
    long = [short[0] * 2, short[1] * 2]
    assert iqm(long) == pytest.approx(iqm(short))
    # With 8 runs of one and 4 of the other, floor(12 / 4) / 12 of the weight goes at each end.
    assert iqm([short[0] * 2, short[1]]) == pytest.approx(iqm(short))


@given(st.lists(st.lists(finite, min_size=1, max_size=5), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_aggregates_lie_between_the_extremes(scores):
    flat = [value for runs in scores for value in runs]
    found = stats.aggregate(scores, repetitions=20)
    for value in found:
        assert min(flat) - 1e-6 <= value <= max(flat) + 1e-6
    assert found.low <= found.high


def test_the_bootstrap_is_stratified_seeded_and_leaves_the_global_generator_alone():
    scores = [[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]
    # Without strata a resample could hold one dataset more often than the other.
    assert stats.aggregate(scores, stats.weighted_mean) == (4.5, 4.5, 4.5)
    varied = [np.arange(7.0) ** 2, np.arange(5.0) ** 3]
    state = np.random.get_state()[1].tolist()
    assert stats.aggregate(varied) == stats.aggregate(varied)
    assert stats.aggregate(varied) != stats.aggregate(varied, seed=1)
    assert np.random.get_state()[1].tolist() == state


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        scores = list(generator.normal(size=(4, 10)))
        found = stats.aggregate(scores, stats.weighted_mean, repetitions=200, seed=trial)
        hits += found.low <= 0.0 <= found.high
    assert 0.87 <= hits / 200 <= 0.99


def test_probability_of_improvement_of_known_values():
    improve = stats.probability_of_improvement
    assert improve([[2, 3]], [[0, 1]]).value == 1.0
    assert improve([[1]], [[1]]).value == 0.5
    # Of 6 pairs x wins 3 and ties 1.
    assert stats.improves([1, 3], [0, 1, 4]) == pytest.approx(3.5 / 6)
    # The mean over datasets, not over pairs.
    assert improve([[1, 1, 1], [0]], [[0], [1]]).value == 0.5
    found = improve([[1, 2, 3], [4, 5]], [[2, 2], [1, 9, 9]])
    back = improve([[2, 2], [1, 9, 9]], [[1, 2, 3], [4, 5]])
    assert found.value + back.value == pytest.approx(1.0)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_improvement_equals_scipys_mann_whitney():
    mannwhitneyu = pytest.importorskip("scipy.stats").mannwhitneyu
    generator = np.random.default_rng(2)
    x, y = generator.integers(0, 5, 7), generator.integers(0, 5, 4)
    assert stats.improves(x, y) == pytest.approx(mannwhitneyu(x, y).statistic / 28)


def test_standard_deviation_is_the_samples():
    assert stats.standard_deviation([1.0, 3.0]) == pytest.approx(2**0.5)
    assert np.isnan(stats.standard_deviation([1.0]))


@pytest.mark.parametrize("scores", [[], [[]], [[1.0], []]])
def test_no_scores_are_refused(scores):
    with pytest.raises(ValueError, match="at least one score"):
        stats.aggregate(scores)
    with pytest.raises(ValueError, match="datasets against"):
        stats.probability_of_improvement([[1.0]], [[1.0], [2.0]])
