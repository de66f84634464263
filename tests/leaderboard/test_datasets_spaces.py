import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatten
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets import ActionScaling, flatten_observation
from zoo_leaderboard.datasets.spaces import observation_size


def box(*shape: int) -> spaces.Box:
    return spaces.Box(-10, 10, shape, np.float64)


MAZE = spaces.Dict({"observation": box(4), "desired_goal": box(2), "achieved_goal": box(2)})
KITCHEN = spaces.Dict({"z": spaces.Dict({"b": box(1), "a": box(7)}), "observation": box(5)})
NESTED = spaces.Tuple([box(2), spaces.Dict({"y": box(3), "x": spaces.Tuple([box(1), box(0)])})])


@pytest.mark.parametrize("space", [box(3), box(), MAZE, KITCHEN, NESTED], ids=str)
def test_observations_flatten_in_gymnasiums_order(space: spaces.Space) -> None:
    space.seed(0)
    sample = space.sample()
    flat = flatten_observation(space, sample)
    assert flat.dtype == np.float32
    np.testing.assert_array_equal(flat, np.asarray(flatten(space, sample), np.float32))
    assert observation_size("x", space) == len(flat)


def test_a_stack_flattens_as_its_members_do() -> None:
    MAZE.seed(0)
    samples = [MAZE.sample() for _ in range(5)]
    stacked = {key: np.stack([sample[key] for sample in samples]) for key in MAZE}
    one_by_one = np.stack([flatten_observation(MAZE, sample) for sample in samples])
    np.testing.assert_array_equal(flatten_observation(MAZE, stacked), one_by_one)


def test_the_goal_is_in_and_extra_entries_are_left_out() -> None:
    observation = {
        "observation": [1, 2, 3, 4], "desired_goal": [5, 6], "achieved_goal": [7, 8], "image": None
    }  # fmt: skip
    assert flatten_observation(MAZE, observation).tolist() == [7, 8, 5, 6, 1, 2, 3, 4]
    del observation["desired_goal"]
    with pytest.raises(ZooError, match="no entry 'desired_goal'"):
        flatten_observation(MAZE, observation)


MAGNITUDES = st.builds(
    lambda mantissa, exponent: mantissa * 10.0**exponent,
    st.floats(-9.99, 9.99, allow_subnormal=False),
    st.integers(-30, 18),
)
DTYPES = st.sampled_from([np.float64, np.float32, np.float16])


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    """Boxes of every floating dtype with bounds from 1e-30 to 1e19, each dimension its own."""
    dtype = draw(DTYPES)
    pairs = draw(st.lists(st.tuples(MAGNITUDES, MAGNITUDES), min_size=1, max_size=4))
    with np.errstate(over="ignore"):
        bounds = np.sort(np.array(pairs).astype(dtype), axis=1)
    assume(np.isfinite(bounds).all() and (np.abs(bounds) < np.finfo(dtype).max).all())
    assume((bounds[:, 0] < bounds[:, 1]).all())
    return spaces.Box(bounds[:, 0], bounds[:, 1], dtype=dtype)


@settings(max_examples=50)
@given(boxes(), st.lists(st.floats(-1.5, 1.5, width=32), min_size=1, max_size=8))
def test_an_action_that_is_sent_is_in_its_space(space: spaces.Box, units: list[float]) -> None:
    scaling = ActionScaling.of("x", space)
    for unit in [-1.0, 1.0, np.nextafter(np.float32(1), np.float32(0)), *units]:
        raw = scaling.from_unit(np.full(space.shape, unit, np.float32)).astype(space.dtype)
        assert space.contains(raw), (space, unit)


@settings(max_examples=50)
@given(boxes())
def test_one_is_the_bound_itself_and_the_bound_is_one(space: spaces.Box) -> None:
    scaling = ActionScaling.of("x", space)
    one = np.ones(space.shape, np.float32)
    np.testing.assert_array_equal(scaling.from_unit(one).astype(space.dtype), space.high)
    np.testing.assert_array_equal(scaling.from_unit(-one).astype(space.dtype), space.low)
    np.testing.assert_array_equal(scaling.to_unit(space.high).astype(np.float32), one)
    np.testing.assert_array_equal(scaling.to_unit(space.low).astype(np.float32), -one)


@settings(max_examples=50)
@given(boxes(), st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_scaling_goes_there_and_back_in_order(space: spaces.Box, units: list[float]) -> None:
    scaling = ActionScaling.of("x", space)
    unit = np.sort(np.array(units))[:, None] * np.ones(space.shape)
    raw = scaling.from_unit(unit)
    assert (np.diff(raw, axis=0) >= 0.0).all()
    # The rounding of float64 at the size of the bounds, as a share of their range.
    size = np.maximum(np.abs(scaling.low), np.abs(scaling.high))
    tolerance = 8 * np.finfo(np.float64).eps * (1.0 + size / scaling.half)
    assert (np.abs(scaling.to_unit(raw) - unit) <= tolerance).all()


@pytest.mark.parametrize("bound", [1e-30, 1.0, 1e6, 1e12, 1e15, 1e19])
def test_small_actions_in_wide_symmetric_bounds_keep_their_digits(bound: float) -> None:
    scaling = ActionScaling.of("x", spaces.Box(-bound, bound, (1,), np.float64))
    actions = np.random.default_rng(0).normal(size=(100, 1)) * min(bound, 1.0)
    back = scaling.from_unit(scaling.to_unit(actions).astype(np.float32))
    clipped = np.clip(actions, -bound, bound)
    np.testing.assert_allclose(back, clipped, rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [
        (np.float64, np.finfo(np.float64).max),
        (np.float64, 1e300),
        (np.float64, 1e20),
        (np.float32, np.finfo(np.float32).max),
        (np.float32, 1e30),
        (np.float16, np.finfo(np.float16).max),
    ],
)
@pytest.mark.parametrize("side", ["both", "low", "high"])
def test_bounds_that_stand_for_none_are_refused(dtype: type, bound: float, side: str) -> None:
    low = np.array([-1, -1 if side == "high" else -bound], dtype)
    high = np.array([1, 1 if side == "low" else bound], dtype)
    with pytest.raises(ZooError, match="without finite bounds") as caught:
        ActionScaling.of("some/set-v0", spaces.Box(low, high, dtype=dtype))
    assert "action 1" in str(caught.value)


def test_equal_and_reversed_bounds_have_messages_of_their_own() -> None:
    equal = spaces.Box(np.array([-1.0, 0.5]), np.array([1.0, 0.5]), dtype=np.float64)
    with pytest.raises(ZooError, match=r"equal bounds.*action 1: 0.5 to 0.5"):
        ActionScaling.of("x", equal)
    reversed_box = spaces.Box(-1.0, 1.0, (2,), np.float64)
    reversed_box.low[0] = 2.0
    with pytest.raises(ZooError, match=r"above its upper.*action 0: 2 to 1"):
        ActionScaling.of("x", reversed_box)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "beyond", "excess"),
    [
        (-1, 1, np.float64, 0.0, 0.0),
        (-1, 1, np.float64, 1e-6, 0.0),
        (-1, 1, np.float64, 0.5, 0.5),
        (0.1, 0.7, np.float32, 0.0, 0.0),
        (1000.1, 1000.2, np.float32, 0.0, 0.0),  # 2e-4 of the range in float32's rounding
        (1000.1, 1000.2, np.float64, 5e-5, 1e-3),
        (1e6, 1e6 + 1e-3, np.float64, 1e-3, 2.0),
        (-1e-30, 1e-30, np.float64, 1e-31, 0.1),
    ],
)
def test_rounding_beyond_the_bounds_is_that_of_the_actions_dtype(
    low: float, high: float, dtype: type, beyond: float, excess: float
) -> None:
    scaling = ActionScaling.of("x", spaces.Box(low, high, (1,), np.float64))
    actions = np.array([[low], [high + beyond]], dtype)
    assert scaling.excess(actions) == pytest.approx(excess, rel=1e-2)


def test_action_bounds_map_to_one_and_policies_are_clipped() -> None:
    scaling = ActionScaling.of("x", spaces.Box(np.array([-2, 0]), np.array([2, 10]), (2,)))
    np.testing.assert_allclose(scaling.to_unit(np.array([[-2, 0], [2, 10]])), [[-1, -1], [1, 1]])
    np.testing.assert_allclose(scaling.from_unit(np.array([3.0, -3.0])), [2, 0])


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Discrete(3), "Discrete actions"),
        (spaces.MultiBinary(3), "MultiBinary actions"),
        (spaces.Box(0, 5, (2,), np.int64), "integer actions"),
        (spaces.MultiDiscrete([3, 2]), "MultiDiscrete actions"),
        (spaces.Text(5), "Text actions"),
        (spaces.Sequence(box(2)), "Sequence actions"),
        (spaces.Graph(box(2), box(2)), "Graph actions"),
        (spaces.Dict({"a": box(2)}), "Dict actions"),
        (spaces.Box(-1, 1, (2, 2)), "shape"),
        (spaces.Box(-1, 1, ()), "shape"),
        (spaces.Box(-np.inf, np.inf, (2,)), "without finite bounds"),
    ],
)
def test_other_actions_are_refused(space: spaces.Space, words: str) -> None:
    with pytest.raises(ZooError, match=words) as caught:
        ActionScaling.of("some/set-v0", space)
    assert "some/set-v0" in str(caught.value)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Box(0, 255, (64, 64, 3), np.uint8), "image"),
        (spaces.Discrete(3), "Discrete observations"),
        (spaces.Dict({"a": box(2), "b": spaces.Text(5)}), "Text observations"),
        (spaces.Dict({"a": box(2), "camera": spaces.Box(0, 255, (8, 8, 3), np.uint8)}), "image"),
        (spaces.Tuple([box(2), spaces.MultiBinary(3)]), "MultiBinary observations"),
        (spaces.Sequence(box(2)), "Sequence observations"),
        (spaces.Graph(box(2), box(2)), "Graph observations"),
        (spaces.Dict({}), "without any number"),
        (box(0), "without any number"),
    ],
)
def test_other_observations_are_refused(space: spaces.Space, words: str) -> None:
    with pytest.raises(ZooError, match=words) as caught:
        observation_size("some/set-v0", space)
    assert "some/set-v0" in str(caught.value)
