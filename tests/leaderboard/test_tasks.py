"""Which specifications are one task, which data may be joined, and whose references count."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium import wrappers
from minari.data_collector import EpisodeBuffer

from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import Environment
from zoo_leaderboard.datasets.reference import reference_of, unused_reference
from zoo_leaderboard.result import Protocol
from zoo_leaderboard.running.evaluation import Evaluator
from zoo_leaderboard.running.versions import versions

PENDULUM = json.loads(gymnasium.spec("Pendulum-v1").to_json())


def spec_of(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    assert env.spec is not None
    return json.loads(env.spec.to_json())


def pendulum(**kwargs: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("Pendulum-v1", **kwargs)


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in PENDULUM.items() if name != key}


@pytest.mark.parametrize(
    "spec",
    [
        {"id": "Pendulum-v1"},
        {"id": "Pendulum"},
        {"id": "gymnasium:Pendulum-v1"},
        {"id": "Pendulum-v1", "kwargs": None, "max_episode_steps": 200},
        {"id": "Pendulum-v1", "max_episode_steps": 200.0},
        dict(reversed(PENDULUM.items())),
        without("kwargs"),
        without("additional_wrappers"),
        {**PENDULUM, "kwargs": {"render_mode": "rgb_array"}},
        {**PENDULUM, "autoreset": False, "apply_api_compatibility": False},
        {**PENDULUM, "reward_threshold": -1.0, "nondeterministic": True, "order_enforce": False},
        {**PENDULUM, "disable_env_checker": True, "vector_entry_point": "somewhere:Else"},
        spec_of(wrappers.RecordEpisodeStatistics(pendulum())),
        spec_of(pendulum(render_mode="rgb_array")),
    ],
    ids=repr,
)
def test_two_ways_to_write_a_task_have_one_identity(spec: dict[str, Any]) -> None:
    assert Environment(spec).identity == Environment(PENDULUM).identity


def test_arguments_are_equal_in_any_order_and_as_integers_or_floats() -> None:
    one = {**PENDULUM, "kwargs": {"g": 9.0, "more": {"b": (1, 2.0), "a": None}}}
    other = {**PENDULUM, "kwargs": {"more": {"a": None, "b": [1.0, 2]}, "g": 9}}
    assert Environment(one).identity == Environment(other).identity
    true = {**PENDULUM, "kwargs": {"g": 1}}, {**PENDULUM, "kwargs": {"g": True}}
    assert len({Environment(spec).identity for spec in true}) == 2


def test_a_registered_argument_may_be_written_or_not() -> None:
    given = Environment.named("AdroitHandDoor-v1", {"reward_type": "dense"})
    assert given.identity == Environment.named("AdroitHandDoor-v1").identity
    assert given.identity == Environment(spec_of(given.make_raw())).identity


def changed(**fields: Any) -> dict[str, Any]:
    return {**PENDULUM, **fields}


OTHERS = {
    "id": changed(id="Pendulum-v2"),
    "entry point": changed(entry_point="mine:Pendulum"),
    "argument": changed(kwargs={"g": 9.0}),
    "time limit": changed(max_episode_steps=100),
    "no time limit": changed(max_episode_steps=None),
    "ClipReward": spec_of(wrappers.ClipReward(pendulum(), -1.0, 0.0)),
    "its bounds": spec_of(wrappers.ClipReward(pendulum(), -2.0, 0.0)),
    "StickyAction": spec_of(wrappers.StickyAction(pendulum(), 0.5)),
    "its share": spec_of(wrappers.StickyAction(pendulum(), 0.25)),
    "RescaleAction": spec_of(wrappers.RescaleAction(pendulum(), -1.0, 1.0)),
    "DelayObservation": spec_of(wrappers.DelayObservation(pendulum(), 1)),
    "NormalizeReward": spec_of(wrappers.NormalizeReward(pendulum())),
    "two": spec_of(wrappers.StickyAction(wrappers.ClipReward(pendulum(), -1.0, 0.0), 0.5)),
    "two, turned": spec_of(wrappers.ClipReward(wrappers.StickyAction(pendulum(), 0.5), -1.0, 0.0)),
}


def test_what_changes_a_number_changes_the_identity() -> None:
    found = {name: Environment(spec).identity for name, spec in OTHERS.items()}
    assert len({*found.values(), Environment(PENDULUM).identity}) == len(OTHERS) + 1


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def dataset(store: Path, id: str, spec: dict[str, Any], logged: dict[str, Any] | None = None):
    buffer = EpisodeBuffer(
        id=0,
        observations=np.zeros((9, 3), np.float32),
        actions=np.zeros((8, 1), np.float32),
        rewards=np.zeros(8),
        terminations=np.zeros(8, bool),
        truncations=np.arange(8) == 7,
    )
    minari.create_dataset_from_buffers(id, [buffer], env=pendulum())
    path = store / id / "data" / "metadata.json"
    found = {**json.loads(path.read_text()), "env_spec": json.dumps(logged or spec)}
    if logged is not None:
        found["eval_env_spec"] = json.dumps(spec)
    path.write_text(json.dumps(found))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [n for n in OTHERS if n not in ("two", "its share", "its bounds")])
def test_data_of_another_task_are_not_joined(store: Path, name: str) -> None:
    dataset(store, "toy/plain-v0", PENDULUM)
    dataset(store, "toy/other-v0", OTHERS[name])
    for text in ("toy/plain-v0+toy/other-v0", "toy/other-v0+toy/plain-v0"):
        with pytest.raises(ZooError, match=r"cannot be joined: .*environments"):
            datasets.find(text)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "spec",
    [
        {"id": "Pendulum-v1"},
        {**PENDULUM, "kwargs": {"g": 10}},
        {**PENDULUM, "max_episode_steps": 200.0},
        {**PENDULUM, "entry_point": "gymnasium.envs.classic_control:PendulumEnv"},
        spec_of(wrappers.RecordEpisodeStatistics(pendulum())),
    ],
    ids=[
        "by id",
        "a default of the constructor",
        "a limit as a float",
        "another name of the class",
        "statistics",
    ],
)
def test_data_of_one_task_are_joined_however_it_is_written(store: Path, spec: Any) -> None:
    dataset(store, "toy/plain-v0", PENDULUM)
    dataset(store, "toy/same-v0", spec)
    assert datasets.find("toy/plain-v0+toy/same-v0").episodes == 2
    same = datasets.find("toy/same-v0+toy/plain-v0")
    assert same.episodes == 2
    assert same.make_env().spec.max_episode_steps == 200


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_data_were_logged_in_counts_too_but_for_the_time_limit(store: Path) -> None:
    dataset(store, "toy/plain-v0", PENDULUM)
    dataset(store, "toy/clipped-v0", PENDULUM, logged=OTHERS["ClipReward"])
    dataset(store, "toy/long-v0", PENDULUM, logged=changed(max_episode_steps=10**6))
    with pytest.raises(ZooError, match="wrappers"):
        datasets.find("toy/plain-v0+toy/clipped-v0")
    assert datasets.find("toy/plain-v0+toy/long-v0").episodes == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_observations_normalised_by_lost_statistics_are_refused(store: Path) -> None:
    dataset(store, "toy/normal-v0", spec_of(wrappers.NormalizeObservation(pendulum())))
    found = datasets.find("toy/normal-v0")
    assert found.episodes == 1, "the data can be trained on"
    with pytest.raises(ZooError, match=r"'toy/normal-v0'.*NormalizeObservation.*eval_env_spec"):
        found.make_env()
    dataset(store, "toy/told-v0", PENDULUM, logged=spec_of(wrappers.NormalizeReward(pendulum())))
    assert not datasets.find("toy/told-v0").make_env().note, "eval_env_spec wins"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_returns_are_those_before_normalised_rewards_and_the_record_says_so(store: Path) -> None:
    def played(id: str) -> Any:
        protocol = Protocol(episodes=2, seed=5)
        with Evaluator(datasets.find(id).make_env, protocol) as evaluate:
            return evaluate(lambda observations: observations[:, 1:2])

    dataset(store, "toy/plain-v0", PENDULUM)
    dataset(store, "toy/normal-v0", spec_of(wrappers.NormalizeReward(pendulum(), epsilon=0.5)))
    plain, normal = played("toy/plain-v0"), played("toy/normal-v0")
    assert normal.returns == plain.returns
    assert "NormalizeReward" in normal.note and "toy/normal-v0" in normal.note
    assert not plain.note


HOPPER = json.loads(gymnasium.spec("Hopper-v5").to_json())


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"id": "Hopper-v5"}, True),
        (HOPPER, True),
        ({"id": "Hopper-v4"}, True),
        ({**HOPPER, "kwargs": {"healthy_reward": 1}}, True),
        ({**HOPPER, "kwargs": {"exclude_current_positions_from_observation": False}}, True),
        ({**HOPPER, "kwargs": {"healthy_reward": 2.0}}, False),
        ({**HOPPER, "kwargs": {"terminate_when_unhealthy": False}}, False),
        ({**HOPPER, "max_episode_steps": 500}, False),
        ({**HOPPER, "max_episode_steps": None}, False),
        ({**HOPPER, "entry_point": "mine:HopperEnv"}, False),
        ({**HOPPER, "id": "mine/Hopper-v5"}, False),
        ({**HOPPER, "additional_wrappers": spec_of(
            wrappers.StickyAction(pendulum(), 0.5))["additional_wrappers"]}, False),
        ({**HOPPER, "additional_wrappers": spec_of(
            wrappers.RecordEpisodeStatistics(pendulum()))["additional_wrappers"]}, True),
        ({"id": "Pusher-v5"}, False),
    ],
    ids=repr,
)  # fmt: skip
def test_d4rls_references_count_for_the_task_that_they_were_measured_on(
    spec: dict[str, Any], counts: bool
) -> None:
    found = reference_of({}, Environment(spec).task)
    assert (found is not None) == counts
    same_name = Environment(spec).task["id"].startswith("Hopper")
    assert bool(unused_reference(Environment(spec).task)) == (same_name and not counts)
    own = reference_of({"ref_min_score": 1.0, "ref_max_score": 2.0}, Environment(spec).task)
    assert own is not None and own.max == 2.0, "a dataset's own are those of its task"


def test_a_record_has_the_versions_of_the_environments_own_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = types.ModuleType("robotpkg")
    module.__version__ = "3.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "robotpkg", module)
    wrapped = {"name": "A", "entry_point": "pytest.wrappers:A", "kwargs": {}}
    spec = changed(entry_point="robotpkg.arms:Arm", additional_wrappers=[wrapped])
    found = versions("none", environment=Environment(spec).identity)
    assert found["robotpkg"] == "3.1" and found["pytest"] == pytest.__version__
    assert {"python", "gymnasium", "mujoco", "torch", "numpy"} <= set(found)
    by_id = {**PENDULUM, "entry_point": "gymnasium:make", "kwargs": {"id": "robotpkg:Arm-v0"}}
    assert "robotpkg" in versions("none", environment=Environment(by_id).identity)
    assert "robotpkg" not in versions("none", environment="Hopper-v5"), "older records"
