"""The demo track's datasets, built on first use."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from worlds import python

from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import Dataset, embedded
from zoo_leaderboard.datasets.embedded import bandit_env
from zoo_leaderboard.datasets.embedded.builder import write
from zoo_leaderboard.datasets.embedded.pendulum import controller
from zoo_leaderboard.datasets.embedded.pointmaze import Planner
from zoo_leaderboard.datasets.writing import Episode

PENDULUM, BANDIT, MAZE = "zoo/pendulum/mixed-v0", "zoo/bandit/modes-v0", "zoo/pointmaze/umaze-v0"
NARROW = "zoo/pendulum/narrow-v0"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        # The test workers share what any of them has built.
        base = tmp_path_factory.getbasetemp()
        path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "embedded"
        path.mkdir(exist_ok=True)
        patch.setenv("ZOO_HOME", str(path))
        patch.setenv("MINARI_DATASETS_PATH", str(path / "none"))
        yield path


def returns(found: Dataset, act: object, episodes: int) -> float:
    env, total = found.make_env(), 0.0
    for seed in range(episodes):
        observation, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(act(env, observation))
            total += float(reward)
            ended = terminated or truncated
    env.close()
    return total / episodes


def random_policy() -> object:
    generator = np.random.default_rng(0)
    return lambda env, _: generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)


def score(found: Dataset, value: float) -> float:
    assert found.reference is not None
    return found.reference.normalized(value)


def test_they_are_listed_before_and_after_they_are_built(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as empty:
        empty.setenv("ZOO_HOME", str(tmp_path))
        rows = {info.id: info for info in datasets.listing()}
    assert not any(info.built for info in rows.values())
    assert set(rows) == {PENDULUM, NARROW, BANDIT, MAZE} == set(embedded.IDS)
    assert all(info.where == "embedded" and info.description for info in rows.values())
    datasets.find(BANDIT)
    (row,) = (info for info in datasets.listing() if info.id == BANDIT)
    assert row.built
    assert (row.episodes, row.steps, row.environment) == (2000, 2000, "zoo/BanditModes-v0")
    assert row.reference is not None
    assert not (home / "none").exists(), "Minari's root is left alone"


def test_the_bandit_has_four_modes_and_little_between_them() -> None:
    found = datasets.find(BANDIT)
    data = found.data
    assert bool(data.terminations.all())
    near = (data.actions[:, None] - torch.tensor(bandit_env.CENTRES)).norm(dim=-1) < 0.25
    assert near.sum(0).tolist() == [500] * 4
    means = [float(data.rewards[near[:, mode]].mean()) for mode in range(4)]
    np.testing.assert_allclose(means, bandit_env.REWARDS, atol=0.35)
    middle = np.array([[0.0, 0.0], [0.0, 0.8], [0.8, 0.0], [-0.4, -0.4]])
    assert bandit_env.mean_reward(middle).max() < 0.01
    np.testing.assert_allclose(
        bandit_env.mean_reward(bandit_env.CENTRES), bandit_env.REWARDS, atol=1e-6
    )


def test_the_bandits_references_are_what_they_say() -> None:
    found = datasets.find(BANDIT)
    grid = (np.arange(1000) + 0.5) / 500 - 1
    plane = np.stack(np.meshgrid(grid, grid), -1)
    assert found.reference is not None
    assert found.reference.min == pytest.approx(bandit_env.mean_reward(plane).mean(), abs=1e-3)
    assert found.reference.max == 5.0
    best = returns(found, lambda *_: np.array([0.8, -0.8], np.float32), 500)
    assert score(found, best) == pytest.approx(100, abs=3)
    assert 30 < score(found, float(found.data.rewards.mean())) < 50


def test_the_bandits_environment_follows_gymnasiums_rules() -> None:
    env = gymnasium.make("zoo_leaderboard.datasets.embedded.bandit_env:zoo/BanditModes-v0")
    from gymnasium.utils.env_checker import check_env

    check_env(env.unwrapped, skip_render_check=True)


def test_pendulums_references_and_levels() -> None:
    found = datasets.find(PENDULUM)
    data = found.data
    assert (len(data), len(data.lengths)) == (60_000, 300)
    assert data.truncations.sum() == 300
    assert not bool(data.terminations.any())
    assert returns(found, random_policy(), 100) == pytest.approx(found.reference.min, abs=70)

    def act(_: object, observation: np.ndarray) -> np.ndarray:
        return (controller(observation) / 2.0).astype(np.float32)

    assert score(found, returns(found, act, 100)) == pytest.approx(100, abs=4)
    logged = data.episode_returns()
    by_level = [score(found, float(logged[level::4].mean())) for level in range(4)]
    assert by_level == sorted(by_level, reverse=True)
    assert 30 < score(found, float(logged.mean())) < 60


def test_the_narrow_pendulum_is_the_controllers_own_data() -> None:
    found = datasets.find(NARROW)
    data = found.data
    assert (len(data), len(data.lengths)) == (20_000, 100)
    logged = float(data.episode_returns().mean())
    assert score(found, logged) == pytest.approx(100, abs=8)
    observations = data.observations[data.rows].numpy()
    torques = np.array([controller(observation)[0] for observation in observations[:2000]])
    noise = data.actions[:2000, 0].numpy() * 2.0 - torques
    inside = np.abs(torques) < 1.7
    assert np.std(noise[inside]) == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
def test_the_maze_is_logged_and_evaluated_as_d4rl_does_it() -> None:
    found = datasets.find(MAZE)
    data = found.data
    assert found.space == (8, 2)
    assert not bool(data.terminations.any())
    last = data.starts[1:] - 1
    assert data.rewards.nonzero()[:, 0].tolist() == last.tolist()
    assert data.truncations.nonzero()[:, 0].tolist() == last.tolist()
    achieved, desired = data.observations[:, :2], data.observations[:, 2:4]
    end = data.rows[last] + 1
    assert float((achieved[end] - desired[end]).norm(dim=1).max()) <= 0.45, "the old goal is kept"
    goals_before, goals_after = desired[end[:-1]], desired[end[:-1] + 1]
    assert bool((goals_before != goals_after).any(1).all()), "the next episode has the new goal"
    assert torch.equal(achieved[end[:-1]], achieved[end[:-1] + 1]), "the run goes on"

    env = found.make_env()
    assert env.spec is not None
    assert env.spec.max_episode_steps == 300
    planner = Planner(env.unwrapped.maze)

    def act(_: object, flat: np.ndarray) -> np.ndarray:
        seen = {"achieved_goal": flat[:2], "desired_goal": flat[2:4], "observation": flat[4:]}
        return np.clip(planner.action(seen), -1, 1).astype(np.float32)

    assert score(found, returns(found, act, 40)) == pytest.approx(100, abs=8)
    assert score(found, returns(found, random_policy(), 40)) == pytest.approx(0, abs=8)


def test_two_processes_build_the_same_at_once_and_get_the_same_bytes(tmp_path: Path) -> None:
    code = f"from zoo_leaderboard import datasets; print(datasets.find({BANDIT!r}).data.digest)"
    with ThreadPoolExecutor() as pool:
        workers = [
            pool.submit(python, code, cwd=tmp_path, ZOO_HOME=str(tmp_path)) for _ in range(2)
        ]
    digests = {worker.result().stdout.strip() for worker in workers}
    assert all(worker.result().returncode == 0 for worker in workers)
    assert digests == {datasets.find(BANDIT).data.digest}, "built anew: the same arrays"
    assert not list(tmp_path.rglob(".new-*"))


@pytest.mark.parametrize("id", [PENDULUM, NARROW, MAZE])
def test_building_again_gives_the_same_arrays(
    id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first() -> Iterator[Episode]:
        return itertools.islice(embedded.builder(id).episodes(), 5)

    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    folder = tmp_path / "datasets" / id
    folder.mkdir(parents=True)
    write(replace(embedded.builder(id), episodes=first), folder / "data")
    found = datasets.find(id)
    assert len(found.data.lengths) == 5
    for number, again in enumerate(first()):
        start, stop = (int(i) for i in found.data.starts[number : number + 2])
        wanted = found.scaling.to_unit(again.actions).astype(np.float32)
        np.testing.assert_array_equal(found.data.actions[start:stop].numpy(), wanted)
        rewards = again.rewards.astype(np.float32)
        np.testing.assert_array_equal(found.data.rewards[start:stop].numpy(), rewards)


def test_metadata_say_who_what_and_how(home: Path) -> None:
    for id in (BANDIT, PENDULUM):
        path = datasets.find(id).members[0].data_path
        assert path.is_relative_to(home)
        metadata = json.loads((path / "metadata.json").read_text())
        wanted = ("author", "code_permalink", "description", "algorithm_name", "license")
        assert all(metadata.get(key) for key in wanted)
        assert metadata["dataset_id"] == id


def test_without_gymnasium_robotics_the_maze_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from zoo_core.errors import ZooError

    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "gymnasium_robotics", None)
    monkeypatch.setattr(gymnasium.envs.registration, "registry", {})
    with pytest.raises(ZooError, match="gymnasium-robotics") as caught:
        datasets.find(MAZE)
    assert "pip install" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("metadata.json"))
