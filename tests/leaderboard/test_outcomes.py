"""Environments ported from older libraries: what they return is read, or refused in a line."""

from fractions import Fraction

import gymnasium
import numpy as np
import pytest
import torch

from zoo_core import ZooError
from zoo_leaderboard.result import Protocol
from zoo_leaderboard.running.evaluation import Evaluator


def half(observations):
    return torch.full((len(observations), 1), 0.5)


class Ported(gymnasium.Env):
    """Returns what it is given."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, returned, at_reset=None):
        self.returned, self.at_reset = returned, at_reset

    def reset(self, **options):
        return (np.zeros(2), {}) if self.at_reset is None else self.at_reset

    def step(self, action):
        return self.returned


ZERO = np.zeros(2, np.float32)


def played(env):
    with Evaluator(lambda: env, Protocol(episodes=1)) as evaluate:
        return evaluate(half)


@pytest.mark.parametrize(
    "reward",
    [
        *(1.5, np.float32(1.5), np.array(1.5), np.array([[1.5]]), [1.5]),
        *(torch.tensor(1.5), torch.tensor([1.5], requires_grad=True), Fraction(3, 2)),
        *(torch.tensor(1.5, dtype=torch.bfloat16), np.array([1.5], object)),
    ],
    ids=repr,
)
def test_a_reward_is_any_one_number(reward):
    assert played(Ported((ZERO, reward, True, False, {}))).returns == (1.5,)


@pytest.mark.parametrize("value", [True, 1, 2**40], ids=repr)
def test_a_reward_may_be_an_integer_or_a_truth(value):
    assert played(Ported((ZERO, value, True, False, {}))).returns == (float(value),)


@pytest.mark.parametrize(
    "flag",
    [
        np.True_,
        1,
        1.0,
        np.array(True),
        np.array([1]),
        torch.tensor(True),
        torch.tensor([1]),
        [True],
    ],
    ids=repr,
)
def test_a_flag_is_any_one_truth(flag):
    no = flag * 0 if not isinstance(flag, list | np.bool_) else [False]
    assert played(Ported((ZERO, 0.0, flag, no, {}))).lengths == (1,)
    assert played(Ported((ZERO, 0.0, no, flag, {}))).lengths == (1,)


@pytest.mark.parametrize(
    "observation",
    [
        *([1.0, 2], (1, 2), torch.tensor([1.0, 2.0]), np.array([[1, 2]]), np.array([1.0, 2.0])),
        *(np.array([1.0, 2], object), torch.tensor([1, 2], dtype=torch.bfloat16)),
    ],
    ids=repr,
)
def test_an_observation_is_as_many_numbers_as_its_space_has(observation):
    seen = []

    def act(observations):
        seen.append(observations.clone())
        return half(observations)

    env = Ported((ZERO, 0.0, True, False, {}), at_reset=(observation, {}))
    with Evaluator(lambda: env, Protocol(episodes=1)) as evaluate:
        evaluate(act)
    assert torch.equal(seen[0], torch.tensor([[1.0, 2.0]]))


def test_an_info_may_be_absent():
    env = Ported((ZERO, 1.0, True, False, None), at_reset=(ZERO, None))
    assert played(env).returns == (1.0,)


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        ((ZERO, "1.5", True, False, {}), "'1.5'"),
        ((ZERO, None, True, False, {}), "None"),
        ((ZERO, np.array([1.0, 2.0]), True, False, {}), "[1., 2.]"),
        ((ZERO, {"a": 1.0}, True, False, {}), "{'a': 1.0}"),
        ((ZERO, 1j, True, False, {}), "1j"),
        ((ZERO, 0.0, None, False, {}), "None"),
        ((ZERO, 0.0, "False", False, {}), "'False'"),
        ((ZERO, 0.0, 0.5, False, {}), "0.5"),
        ((ZERO, 0.0, False, np.array([True, False]), {}), "True, False"),
        ((np.zeros(3), 0.0, True, False, {}), "[3]"),
        ((None, 0.0, True, False, {}), "None"),
        (("ab", 0.0, True, False, {}), "'ab'"),
        ((np.array([[1.0], None], object), 0.0, True, False, {}), "object"),
        ((ZERO, 10**400, True, False, {}), "1000"),
        ((ZERO, 0.0, True, False, [{"a": 1}]), "[{'a': 1}]"),
        ((ZERO, 0.0, True, {}), "4 values"),
        (None, "None"),
    ],
    ids=repr,
)
def test_what_is_no_outcome_is_a_line_with_environment_step_and_value(returned, named):
    with pytest.raises(ZooError) as caught:
        played(Ported(returned))
    text = str(caught.value)
    assert "'Ported'" in text and "step 1 of episode 0" in text and named in text
    assert len(text) <= 250 and text.isprintable()


@pytest.mark.parametrize("returned", [np.zeros(2), (np.zeros(2), np.zeros(2)), None, {"a": 1}])
def test_a_reset_of_old_gym_is_a_line(returned):
    with pytest.raises(ZooError, match=r"'Ported', the reset of episode 0: .*reset returned"):
        played(Ported(None, at_reset=returned) if returned is not None else Ported(None, [1]))


class Failing(gymnasium.Env):
    """Raises at reset, at its second step, or when it is closed; ends at its second step."""

    observation_space, action_space = Ported.observation_space, Ported.action_space

    def __init__(self, where, error):
        self.where, self.error = where, error

    def reset(self, *, seed=None, options=None):
        if self.where == "reset":
            raise self.error
        self.t = 0
        return ZERO, {}

    def step(self, action):
        if self.where == "step" and self.t == 1:
            raise self.error
        self.t += 1
        return ZERO, 0.5, self.t == 2, False, {}

    def close(self):
        if self.where == "close":
            raise self.error


@pytest.mark.parametrize("error", [ValueError("of its own\nsecond line"), SystemExit(3)])
def test_an_environment_that_raises_is_a_line(error):
    protocol = Protocol(episodes=2, seed=1)
    for where, place in (("reset", "the reset of episode 0"), ("step", "step 2 of episode 0")):
        with (
            Evaluator(lambda where=where: Failing(where, error), protocol) as evaluate,
            pytest.raises(ZooError, match=f"'Failing' failed at {place}: {type(error).__name__}"),
        ):
            evaluate(half)


def test_an_environment_that_fails_to_close_costs_no_result():
    with Evaluator(
        lambda: Failing("close", ValueError("of its own\nsecond line")),
        Protocol(episodes=1, seed=1),
    ) as evaluate:
        played = evaluate(half)
    assert played.returns == (1.0,)
    assert "'Failing' failed to close: ValueError" in played.note and "\n" not in played.note
