import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatten
from hypothesis import given
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


@given(
    st.lists(
        st.tuples(st.floats(-100, 100), st.floats(0.01, 100), st.floats(-1, 1)),
        min_size=1,
        max_size=5,
    )
)
def test_action_scaling_goes_there_and_back(values: list[tuple[float, float, float]]) -> None:
    low, width, unit = (np.array(column) for column in zip(*values, strict=True))
    scaling = ActionScaling(low, low + width)
    actions = scaling.from_unit(unit)
    assert (actions >= low - 1e-9).all()
    assert (actions <= low + width + 1e-9).all()
    np.testing.assert_allclose(scaling.to_unit(actions), unit, atol=1e-6)


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
        (spaces.Box(-1, 1, (2, 2)), "shape"),
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
    ],
)
def test_other_observations_are_refused(space: spaces.Space, words: str) -> None:
    with pytest.raises(ZooError, match=words) as caught:
        observation_size("some/set-v0", space)
    assert "some/set-v0" in str(caught.value)
