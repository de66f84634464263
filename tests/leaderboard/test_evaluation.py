import random

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

    def __init__(self, reward=None, endless=False):
        self.reward, self.endless = reward, endless

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


class Remembering(Counting):
    """A curriculum: each reset of a copy makes its rewards larger."""

    def __init__(self):
        super().__init__()
        self.level = 0

    def reset(self, *, seed=None, options=None):
        self.level += 1
        return super().reset(seed=seed)

    def step(self, action):
        observation, reward, *flags = super().step(action)
        return observation, reward * self.level, *flags


def pendulum(*wrappers):
    env = gymnasium.wrappers.RescaleAction(
        gymnasium.make("Pendulum-v1", max_episode_steps=20), -1.0, 1.0
    )
    for wrapper in wrappers:
        env = wrapper(env)
    return env


def push(observations):
    return torch.tanh(observations[:, :1] * 3 + observations[:, 1:2])


@pytest.mark.parametrize(
    ("make", "act"),
    [
        (Counting, half),
        (Remembering, half),
        (lambda: pendulum(gymnasium.wrappers.NormalizeReward), push),
        (lambda: pendulum(gymnasium.wrappers.NormalizeObservation), push),
    ],
    ids=["counting", "curriculum", "NormalizeReward", "NormalizeObservation"],
)
def test_an_evaluation_does_not_depend_on_those_before_it(make, act):
    with Evaluator(make, Protocol(episodes=2, seed=7)) as evaluate:
        first, again = evaluate(act), evaluate(act)
    with Evaluator(make, Protocol(episodes=2, seed=7)) as evaluate:
        fresh = evaluate(act)
    assert first[:2] == again[:2] == fresh[:2]
    assert not again.note


class Drawing(Counting):
    """Starts and steps by a generator that `reset` does not seed."""

    def __init__(self, draw, space=None):
        super().__init__()
        self.draw = draw
        if space is not None:
            self.observation_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(2, self.draw(self)), {}

    def step(self, action):
        _, _, *flags = super().step(action)
        return np.full(2, self.draw(self)), float(self.draw(self)), *flags


@pytest.mark.parametrize(
    "draw",
    [
        lambda env: np.random.uniform(),
        lambda env: random.random(),
        lambda env: float(torch.rand(())),
        lambda env: env.np_random.uniform(),
        lambda env: env.observation_space.sample()[0],
        lambda env: env.action_space.sample()[0],
    ],
    ids=["numpy", "python", "torch", "np_random", "observation space", "action space"],
)
def test_generators_that_a_reset_leaves_alone_are_seeded(draw):
    spaces = (Counting.observation_space, Counting.action_space)

    def make():
        env = Drawing(draw)
        env.observation_space, env.action_space = (gymnasium.spaces.Box(*_ends(s)) for s in spaces)
        return env

    def played():
        with Evaluator(make, Protocol(episodes=3, seed=4)) as evaluate:
            return evaluate(half), evaluate(half)

    first, again = played()
    np.random.seed(), random.seed(), torch.seed()
    assert first[:2] == again[:2] == played()[1][:2]
    assert len(set(first.returns)) == 3
    assert not again.note


def _ends(space):
    return space.low, space.high, space.shape, space.dtype


def test_an_evaluation_leaves_the_processs_generators_as_they_were():
    def state():
        return random.random(), np.random.uniform(), float(torch.rand(()))

    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    before = state()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    with Evaluator(lambda: Drawing(lambda env: np.random.uniform()), Protocol(episodes=2)) as go:
        go(half)
    assert state() == before


class Worldwide(Counting):
    """A curriculum that all copies share."""

    resets = 0

    def reset(self, *, seed=None, options=None):
        type(self).resets += 1
        super().reset(seed=seed)
        return np.full(2, 0.1 * type(self).resets), {}


class Late(Counting):
    """Draws from the system's entropy, but not in the first 50 steps."""

    def reset(self, **options):
        self.steps = 0
        return super().reset(**options)

    def step(self, action):
        self.steps += 1
        noise = np.random.default_rng().uniform() if self.steps > 50 else 0.0
        return np.zeros(2, np.float32), noise, False, self.steps == 70, {}


@pytest.mark.parametrize(
    "make",
    [lambda: Drawing(lambda env: np.random.default_rng().uniform()), Worldwide, Late],
    ids=["entropy of the system", "state of the class", "late"],
)
def test_what_the_seed_does_not_determine_is_named(make):
    with Evaluator(make, Protocol(episodes=2)) as evaluate:
        note = evaluate(half).note
    assert make().unwrapped.__class__.__name__ in note and "seed" in note
    assert len(note) <= 200 and "\n" not in note


@pytest.mark.parametrize(
    ("maze", "kwargs"),
    [
        ("UMaze", {"continuing_task": True, "reset_target": False}),
        ("UMaze", {"continuing_task": True, "reset_target": True}),
        ("LargeDense", {"continuing_task": False}),
    ],
)
def test_mazes_whose_copies_are_reused_play_as_fresh_ones_do(maze, kwargs):
    from zoo_leaderboard.datasets import Environment
    from zoo_leaderboard.running import evaluation

    def everything(env):
        data, maze = env.unwrapped.point_env.data, env.unwrapped
        arrays = data.qpos, data.qvel, data.qacc_warmstart, data.ctrl, data.time, maze.goal
        return [np.array(array).tolist() for array in arrays]

    def steps(env, seed):
        env.reset(seed=seed)
        found, generator = [everything(env)], np.random.default_rng(seed)
        for _ in range(60):
            observation, reward, *_ = env.step(generator.uniform(-1, 1, 2).astype(np.float32))
            found.append((everything(env), {k: v.tolist() for k, v in observation.items()}, reward))
        return found

    environment = Environment.named(f"PointMaze_{maze}-v3", kwargs)
    used, fresh = environment.make_raw(), environment.make_raw()
    assert evaluation._reset_suffices(used)
    assert not evaluation._reset_suffices(gymnasium.wrappers.NormalizeReward(used))
    assert not evaluation._reset_suffices(gymnasium.make("Pendulum-v1"))
    steps(used, 1)
    assert steps(used, 2) == steps(fresh, 2)


def test_an_endless_episode_is_cut_and_the_result_says_so():
    protocol = Protocol(episodes=2, episode_limit=17)
    with Evaluator(lambda: Counting(endless=True), protocol) as evaluate:
        played = evaluate(half)
    assert played.lengths == (17, 17)
    assert "Counting" in played.note and "17 steps" in played.note


@pytest.mark.parametrize("limit", [12, 40])
def test_the_protocol_does_not_shorten_an_environment_that_has_a_limit(limit):
    def make():
        return gymnasium.wrappers.TimeLimit(Counting(endless=True), limit)

    with Evaluator(make, Protocol(episodes=1, episode_limit=17)) as evaluate:
        played = evaluate(half)
    assert played.lengths == (limit,) and not played.note


class Reusing(Counting):
    """All copies hand out one array."""

    array = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.array[:] = seed
        return self.array, {}


def test_copies_that_hand_out_one_array_are_seen_apart():
    seen = []

    def act(observations):
        seen.append(observations[:, 0].tolist())
        return half(observations)

    with Evaluator(Reusing, Protocol(episodes=3, seed=4)) as evaluate:
        evaluate(act)
    assert seen[0] == [4.0, 5.0, 6.0]


def test_every_copy_is_closed():
    opened = []

    class Closing(Counting):
        def __init__(self):
            super().__init__()
            opened.append(self)

        def close(self):
            opened.remove(self)

    with Evaluator(Closing, Protocol(episodes=3)) as evaluate:
        evaluate(half), evaluate(half)
        assert not opened
        with pytest.raises(ZeroDivisionError):
            evaluate(lambda observations: 1 / 0)
        assert not opened


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
