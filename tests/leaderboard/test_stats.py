import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_leaderboard import stats

finite = st.floats(-1e3, 1e3, allow_nan=False)


def iqm(scores):
    return stats.aggregates(scores, repetitions=2).iqm.value


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
    for found in stats.aggregates(scores, repetitions=20)[:3]:
        assert min(flat) - 1e-6 <= found.value <= max(flat) + 1e-6
        assert found.known == all(len(runs) > 1 for runs in scores)
        if found.known:
            assert min(flat) - 1e-6 <= found.low <= found.high <= max(flat) + 1e-6


def test_the_bootstrap_is_stratified_seeded_and_leaves_the_global_generator_alone():
    scores = [[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]
    # Without strata a resample could hold one dataset more often than the other.
    assert stats.aggregates(scores).mean == (4.5, 4.5, 4.5)
    varied = [np.arange(7.0) ** 2, np.arange(5.0) ** 3]
    state = np.random.get_state()[1].tolist()
    assert stats.aggregates(varied) == stats.aggregates(varied)
    assert stats.aggregates(varied) != stats.aggregates(varied, seed=1)
    assert np.random.get_state()[1].tolist() == state


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        scores = list(generator.normal(size=(4, 10)))
        found = stats.aggregates(scores, repetitions=200, seed=trial).mean
        hits += found.low <= 0.0 <= found.high
    assert 0.87 <= hits / 200 <= 0.99


def test_probability_of_improvement_of_known_values():
    improve = stats.probability_of_improvement
    assert improve([[2, 3]], [[0, 1]]).value == 1.0
    assert improve([[1]], [[1]]).value == 0.5
    # Of 6 pairs x wins 3 and ties 1.
    assert improve([[1, 3]], [[0, 1, 4]]).value == pytest.approx(3.5 / 6)
    # The mean over datasets, not over pairs.
    assert improve([[1, 1, 1], [0]], [[0], [1]]).value == 0.5
    assert not improve([[2, 3]], [[0]]).known
    found = improve([[1, 2, 3], [4, 5]], [[2, 2], [1, 9, 9]])
    back = improve([[2, 2], [1, 9, 9]], [[1, 2, 3], [4, 5]])
    assert found.value + back.value == pytest.approx(1.0)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_improvement_equals_scipys_mann_whitney():
    mannwhitneyu = pytest.importorskip("scipy.stats").mannwhitneyu
    generator = np.random.default_rng(2)
    x, y = generator.integers(0, 5, 7), generator.integers(0, 5, 4)
    assert stats.probability_of_improvement([x], [y]).value == pytest.approx(
        mannwhitneyu(x, y).statistic / 28
    )


def test_standard_deviation_is_the_samples():
    assert stats.standard_deviation([1.0, 3.0]) == pytest.approx(2**0.5)
    assert np.isnan(stats.standard_deviation([1.0]))


@pytest.mark.parametrize("scores", [[], [[]], [[1.0], []]])
def test_no_scores_are_refused(scores):
    with pytest.raises(ValueError, match="at least one score"):
        stats.aggregates(scores)
    with pytest.raises(ValueError, match="datasets against"):
        stats.probability_of_improvement([[1.0]], [[1.0], [2.0]])


def test_the_other_aggregates_of_known_values():
    found = stats.aggregates([[0, 10], [20, 40], [150, 250]])
    assert found.mean.value == pytest.approx((5 + 30 + 200) / 3)
    assert found.median.value == pytest.approx(30)
    # Of the shortfalls 100, 90, 80, 60, 0, 0.
    assert found.optimality_gap.value == pytest.approx(330 / 6)
    # Datasets weigh the same, whatever their seeds.
    assert stats.aggregates([[0, 0, 0], [80]]).optimality_gap.value == pytest.approx(60)


def test_a_single_run_has_no_interval():
    found = stats.aggregates([[1.0], [2.0, 3.0]])
    assert all(not value.known for value in found)
    assert found.mean.value == pytest.approx(1.75)
    assert not stats.average_ranks([[[1.0]], [[2.0]]])[0].known
    assert np.isnan(stats.performance_profile([[1.0]], [0.0]).low).all()


def test_average_ranks_of_known_values():
    first, second, third = stats.average_ranks(
        [[[3, 3], [1, 1]], [[2, 2], [2, 2]], [[1, 1], [1, 1]]]
    )
    # On the second dataset the first and the third share the ranks 2 and 3.
    assert first == (1.75, 1.75, 1.75)
    assert second == (1.5, 1.5, 1.5)
    assert third == (2.75, 2.75, 2.75)
    noisy = stats.average_ranks([[[1, 2, 9]], [[2, 3, 4]]])
    assert sum(rank.value for rank in noisy) == pytest.approx(3)
    assert noisy[0].low == 1.0
    assert noisy[0].high == 2.0
    with pytest.raises(ValueError, match="same datasets"):
        stats.average_ranks([[[1]], [[1], [2]]])


def test_one_dataset_is_welchs_test():
    scipy = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(3)
    x, y = generator.normal(0, 1, 5), generator.normal(1, 3, 8)
    found = stats.difference([x], [y])
    assert found.p_value == pytest.approx(scipy.ttest_ind(x, y, equal_var=False).pvalue)
    assert found.value == pytest.approx(x.mean() - y.mean())


def test_the_test_over_datasets_rejects_as_often_as_its_level_says():
    generator = np.random.default_rng(4)
    scale = np.array([[1.0], [5.0], [20.0]])
    p_values = [
        stats.difference(
            list(scale * generator.normal(size=(3, 5))), list(scale * generator.normal(size=(3, 4)))
        ).p_value
        for _ in range(600)
    ]
    assert 0.02 < np.mean(np.array(p_values) < stats.ALPHA) < 0.085


def test_nothing_can_be_told_from_a_single_run_and_all_from_runs_without_variance():
    assert stats.difference([[100.0]], [[0.0]]).p_value == 1.0
    assert stats.difference([[1.0, 1.0]], [[1.0, 1.0]]).p_value == 1.0
    assert stats.difference([[1.0, 1.0]], [[2.0, 2.0]]).p_value == 0.0


def test_the_rows_that_are_not_worse_than_the_best():
    rows = {
        "best": [[10.0, 11.0, 12.0]],
        "close": [[9.0, 11.0, 12.5]],
        "worse": [[0.0, 0.1, 0.2]],
        "single": [[5.0]],
    }
    assert stats.not_worse(rows) == {"best", "close"}
    assert stats.not_worse(rows | {"single": [[13.0]]}) == {*rows}
    assert stats.not_worse({}) == set()
    assert stats.not_worse({"alone": [[1.0, 2.0]]}) == {"alone"}


def test_a_performance_profile_of_known_values():
    found = stats.performance_profile([[0, 10], [20, 40, 60]], [-1, 5, 30, 100])
    assert found.value.tolist() == pytest.approx([1, 0.75, 1 / 3, 0])
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()
    assert found.low[0] == found.high[0] == 1.0


@given(st.lists(st.lists(finite, min_size=2, max_size=6), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_the_iqm_by_parts_is_the_weighted_mean_of_the_middle_half(scores):
    """The same from the definition: each run's stretch of weight that lies in the middle half."""
    flat = np.concatenate(scores)
    weights = np.concatenate([np.full(len(runs), 1 / len(runs) / len(scores)) for runs in scores])
    order = np.argsort(flat, kind="stable")
    above = np.cumsum(weights[order])
    cut = len(flat) // 4 / len(flat)
    inside = np.clip(above, cut, 1 - cut) - np.clip(above - weights[order], cut, 1 - cut)
    expected = (flat[order] * inside).sum() / inside.sum()
    assert iqm(scores) == pytest.approx(expected, abs=1e-6)


def whole(returns):
    """Scores of whole returns as maze2d-umaze's references normalise them: rounded numbers."""
    return [100.0 * (value - 23.85) / (161.86 - 23.85) for value in returns]


def every_statistic(x, y):
    return (
        stats.aggregates(x, repetitions=50),
        stats.average_ranks([x, y], repetitions=50),
        stats.probability_of_improvement(x, y, repetitions=50),
        stats.difference(x, y),
        stats.not_worse({"x": x, "y": y}),
        [profile.tolist() for profile in stats.performance_profile(x, [0, 50], repetitions=50)],
        [stats.mean(runs) for runs in x],
        [stats.standard_deviation(runs) for runs in x],
    )


@given(
    st.lists(st.lists(finite, min_size=2, max_size=6), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_no_statistic_depends_on_the_order_of_seeds(scores, random):
    other = [[value + 1.0 for value in runs] for runs in scores]
    shuffled = [random.sample(runs, len(runs)) for runs in scores]
    reversed_ = [runs[::-1] for runs in other]
    assert every_statistic(scores, other) == every_statistic(shuffled, reversed_)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_equal_scores_in_another_order_are_equal_in_every_comparison(seeds):
    generator = np.random.default_rng(seeds)
    for _ in range(20):
        a = np.array(whole(generator.integers(10, 160, seeds)))
        b = generator.permutation(a)
        assert [rank.value for rank in stats.average_ranks([[a], [b]], repetitions=1)] == [1.5, 1.5]
        assert stats.probability_of_improvement([a], [b], repetitions=1).value == 0.5
        assert stats.difference([a], [b]).value == 0.0


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([30, 70], [50, 50]),
        ([10, 20, 60], [30, 30, 30]),
        ([31, 33, 38, 50, 53], [41, 41, 41, 41, 41]),
        ([77] * 3, [77] * 7),
        ([-100, 100, 11], [1, 3, 7]),
    ],
)
def test_equal_means_of_other_scores_are_ties(x, y):
    """The means of the returns are equal; those of the scores differ in their last digits."""
    for a, b in ((whole(x), whole(y)), (whole(y), whole(x))):
        assert [rank.value for rank in stats.average_ranks([[a], [b]], repetitions=1)] == [1.5, 1.5]
        assert stats.difference([a], [b]).p_value == 1.0
        rows = {"a": [a], "b": [b], "lower": [whole([0, 0])]}
        assert {"a", "b"} <= stats.not_worse(rows)


def test_rows_without_variance_are_equal_or_different_and_never_by_rounding():
    third = 100.0 / 3.0
    assert stats.difference([[0.1] * 3, [0.3] * 3], [[0.2] * 3, [0.2] * 5]).p_value == 1.0
    assert stats.difference([[third] * 3], [[third] * 7]).p_value == 1.0
    assert stats.difference([[third] * 3], [[third + 1e-6] * 3]).p_value == 0.0


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_small_differences_are_no_ties_whatever_the_scale(scale):
    a, b = np.array([1.0, 2.0]) * scale, np.array([1.0, 2.0 + 1e-9]) * scale
    assert [rank.value for rank in stats.average_ranks([[a], [b]], repetitions=1)] == [2.0, 1.0]
    assert stats.probability_of_improvement([b], [a], repetitions=1).value == 5 / 8


def test_several_highest_rows_are_treated_alike():
    wide, narrow, near = [[0.0, 100.0]], [[49.9, 50.1]], [[45.0, 45.2]]
    single = [[50.0]]
    for rows in (
        {"wide": wide, "narrow": narrow, "near": near, "single": single},
        {"single": single, "near": near, "narrow": narrow, "wide": wide},
    ):
        assert stats.not_worse(rows) == {"wide", "narrow", "near"}


def test_levels_are_those_of_the_values():
    values = np.array([[3.0, 1.0, 2.0, 1.0 + 1e-13, 3.0], [0.0, 0.0, 0.0, 0.0, -1.0]])
    assert stats.levels(values, 1e-12).tolist() == [[2, 0, 1, 0, 2], [1, 1, 1, 1, 0]]
    assert stats.levels(np.zeros((2, 0)), 0.0).shape == (2, 0)
