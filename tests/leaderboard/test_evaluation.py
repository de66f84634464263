import gymnasium
import numpy as np
import pytest
import torch

from zoo_core import Diverged, ZooError
from zoo_leaderboard.result import Protocol, ReferenceScores
from zoo_leaderboard.running.evaluation import Evaluator, evaluation_steps


class Counting(gymnasium.Env):
    """Ends after 1 + seed % 5 steps; each step's reward is the action plus the start."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    made = 0

    def __init__(self, reward=None, endless=False):
        self.reward, self.endless = reward, endless
        type(self).made += 1

    def reset(self, *, seed=None, options=None):
        self.seed, self.t = seed, 0
        return np.array([seed % 5, 0.0]), {}

    def step(self, action):
        self.t += 1
        done = self.t > self.seed % 5 and not self.endless
        reward = float(action[0]) if self.reward is None else self.reward
        return np.array([self.seed % 5, self.t], np.float64), reward, done, False, {}


def half(observations):
    return torch.full((len(observations), 1), 0.5)


def test_every_episode_counts_once_and_finished_copies_are_dropped():
    sizes = []

    def act(observations):
        sizes.append(len(observations))
        assert observations.dtype == torch.float32
        return half(observations)

    with Evaluator(Counting, Protocol(episodes=6, seed=10)) as evaluate:
        played = evaluate(act)
    assert played.lengths == (1, 2, 3, 4, 5, 1)
    assert played.returns == (0.5, 1.0, 1.5, 2.0, 2.5, 0.5)
    assert sizes == [6, 4, 3, 2, 1]


def test_the_copies_are_made_once_and_start_the_same_every_time():
    Counting.made = 0
    with Evaluator(Counting, Protocol(episodes=3, seed=7)) as evaluate:
        assert evaluate(half)[:2] == evaluate(half)[:2]
    assert Counting.made == 3


def test_an_endless_episode_is_cut():
    protocol = Protocol(episodes=1, episode_limit=17)
    with Evaluator(lambda: Counting(endless=True), protocol) as evaluate:
        assert evaluate(half).lengths == (17,)


def test_actions_are_clipped():
    with Evaluator(Counting, Protocol(episodes=1, seed=0)) as evaluate:
        assert evaluate(lambda o: 7.0 * half(o)).returns == (1.0,)


def test_numbers_that_are_not_finite_are_refused():
    with Evaluator(Counting, Protocol(episodes=1)) as evaluate:
        with pytest.raises(Diverged, match="action that is not finite"):
            evaluate(lambda o: half(o) * float("nan"))
        with pytest.raises(ZooError, match=r"actions \[3\], not \[1, A\]"):
            evaluate(lambda o: torch.zeros(3))
    with (
        Evaluator(lambda: Counting(reward=float("inf")), Protocol(episodes=1)) as evaluate,
        pytest.raises(ZooError, match="not finite at step 1 of episode 0"),
    ):
        evaluate(half)


def test_the_last_step_is_always_evaluated_and_each_once():
    def steps(total, evaluations, untrained=True):
        return evaluation_steps(total, Protocol(evaluations=evaluations, untrained=untrained))

    assert steps(100, 4) == [0, 25, 50, 75, 100]
    assert steps(100, 4, untrained=False) == [25, 50, 75, 100]
    assert steps(3, 10) == [0, 1, 2, 3]
    assert steps(1, 1) == [0, 1]
    assert steps(7, 3) == [0, 2, 5, 7]


def test_scores_are_in_hundredths_of_the_references_range():
    reference = ReferenceScores(min=-10.0, max=30.0, source="x")
    assert reference.normalized(-10.0) == 0.0
    assert reference.normalized(30.0) == 100.0
    assert reference.normalized(50.0) == 150.0
