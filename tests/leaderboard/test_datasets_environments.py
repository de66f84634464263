"""Every environment of the track `d4rl` is made and stepped, without any download."""

from __future__ import annotations

import os
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import Environment, known_environment, known_ids
from zoo_leaderboard.datasets.environment import make_vector_env
from zoo_leaderboard.datasets.spaces import ActionScaling
from zoo_leaderboard.track import load_track

D4RL = load_track("d4rl").dataset_ids()
IDS = sorted({term.id for text in D4RL for term in datasets.parse(text).terms})
SETTINGS = {environment.identity: environment for environment in map(known_environment, IDS)}


def test_the_track_names_d4rl_and_mujoco_sets_and_sums() -> None:
    assert len(set(D4RL)) == len(D4RL)
    assert set(IDS) <= known_ids()
    for text in ("D4RL/door/human-v2", "D4RL/pointmaze/umaze-v2", "D4RL/antmaze/umaze-v1",
                 "D4RL/kitchen/partial-v2", "mujoco/hopper/simple-v0",
                 "mujoco/hopper/medium-v0+mujoco/hopper/expert-v0"):  # fmt: skip
        assert text in D4RL
    assert all(str(datasets.parse(text)) == text for text in D4RL), "canonical forms"


def test_members_of_a_sum_share_their_environment() -> None:
    for text in D4RL:
        environments = {known_environment(term.id).identity for term in datasets.parse(text).terms}
        assert len(environments) == 1


@pytest.mark.parametrize("environment", SETTINGS.values(), ids=lambda e: e.id)
def test_every_environment_is_made_and_stepped(environment: Environment) -> None:
    raw = environment.make_raw()
    space, bounds = raw.observation_space, raw.action_space
    assert raw.spec is not None
    limit = environment.spec.get("max_episode_steps")
    assert limit is None or raw.spec.max_episode_steps == limit
    raw.close()
    env = make_vector_env(environment, space, ActionScaling.of("x", bounds), "x")
    observation, _ = env.reset(seed=0)
    generator = np.random.default_rng(0)
    for _ in range(3):
        assert env.observation_space.contains(observation)
        action = generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        observation, reward, *_ = env.step(action)
        assert np.isfinite(observation).all()
        assert np.isfinite(float(reward))
    env.close()


def test_an_environment_that_nobody_registered() -> None:
    with pytest.raises(ZooError, match="'Nowhere-v3' cannot be made") as caught:
        Environment.named("Nowhere-v3").make_raw()
    assert "\n" not in str(caught.value)


def test_specifications_of_older_versions_are_understood() -> None:
    spec = {
        **{"id": "Pendulum-v1", "entry_point": "gymnasium.envs.classic_control:PendulumEnv"},
        **{"apply_api_compatibility": False, "autoreset": False, "max_episode_steps": 7},
    }
    env = Environment(spec).make_raw()
    assert isinstance(env.unwrapped, gymnasium.envs.classic_control.PendulumEnv)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 7


# Real data.


@pytest.fixture
def real(shared_minari: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(shared_minari))
    monkeypatch.setenv("ZOO_HOME", os.environ.get("ZOO_TEST_HOME", str(tmp_path)))
    return shared_minari


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    ("id", "environment", "steps", "episodes", "space"),
    [
        ("D4RL/door/human-v2", "AdroitHandDoor-v1", 6_729, 25, (39, 28)),
        ("d3rlpy/pendulum/replay-v1", "Pendulum-v1", 99_500, 500, (3, 1)),
        ("rlzoo3/hopper/medium-expert-v0", "Hopper-v5", 200_000, 339, (11, 3)),
    ],
)
def test_real_datasets(
    id: str, environment: str, steps: int, episodes: int, space: tuple[int, int]
) -> None:
    found = datasets.find(id)
    assert found.space == space, "known before the data load"
    assert (found.steps, found.episodes) == (steps, episodes)
    assert found.environment is not None
    assert found.environment.id == environment
    assert found.reference is not None
    found.data.check_values()
    env = found.make_env()
    observation, _ = env.reset(seed=0)
    assert observation.shape == (space[0],)
    env.step(np.zeros(space[1], np.float32))
    env.close()


@pytest.mark.usefixtures("real")
def test_a_real_dataset_and_the_list_of_public_ones_name_one_task() -> None:
    stored, known = datasets.find("D4RL/door/human-v2"), known_environment("D4RL/door/human-v2")
    assert stored.environment is not None and known is not None
    assert stored.environment.identity == known.identity


@pytest.mark.usefixtures("real")
def test_real_pendulum_actions_reproduce_the_logged_rewards() -> None:
    data = datasets.find("d3rlpy/pendulum/replay-v1").data
    assert float(data.actions.abs().max()) <= 1.0
    cosine, sine, velocity = data.observations[data.rows].unbind(1)
    torque = 2.0 * data.actions[:, 0]
    angle = torch.atan2(sine, cosine)
    rewards = -(angle**2 + 0.1 * velocity**2 + 0.001 * torque**2)
    torch.testing.assert_close(rewards, data.rewards, atol=1e-3, rtol=1e-3)


@pytest.mark.usefixtures("real")
def test_real_hopper_successors_follow_from_their_observations() -> None:
    data = datasets.find("rlzoo3/hopper/medium-expert-v0").data
    # Hopper's healthy episodes end where the height leaves its range: at the last successor.
    ends = data.rows[data.starts[1:] - 1] + 1
    fallen = data.terminations[data.starts[1:] - 1]
    height, angle = data.observations[ends[fallen]][:, 0], data.observations[ends[fallen]][:, 1]
    assert bool(((height < 0.7) | (angle.abs() > 0.2)).all())
    inside = data.observations[data.rows]
    assert bool((inside[:, 0] > 0.69).all())
