"""The loader against a slow obvious reading, and against every bad input."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
import torch
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from zoo_core.errors import UnknownName, ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import catalogue, locate

BOX = spaces.Box(-np.inf, np.inf, (3,), np.float64)
GOALS = spaces.Dict({"observation": BOX, "goal": spaces.Box(-5, 5, (2,), np.float32)})
ACTIONS = spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 0.5]), dtype=np.float64)
LENGTHS = [3, 1, 7, 2, 5, 1, 4]


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path


def episode(steps: int, generator: np.random.Generator, space: spaces.Space) -> EpisodeBuffer:
    def rows(box: spaces.Box) -> np.ndarray:
        return generator.normal(size=(steps + 1, *box.shape)).astype(box.dtype)

    ends = np.arange(steps) == steps - 1
    terminated = bool(generator.integers(2))
    observations: Any = (
        {key: rows(part) for key, part in space.items()}
        if isinstance(space, spaces.Dict)
        else rows(space)
    )
    return EpisodeBuffer(
        observations=observations,
        actions=generator.uniform(ACTIONS.low, ACTIONS.high, (steps, 2)),
        rewards=generator.normal(size=steps),
        terminations=ends & terminated,
        truncations=ends & (not terminated),
    )


def make(
    root: Path,
    id: str = "test/set-v0",
    *,
    space: spaces.Space = BOX,
    actions: spaces.Space = ACTIONS,
    episodes: list[EpisodeBuffer] | None = None,
    **metadata: Any,
) -> Path:
    folder = root / "minari" / id / "data"
    folder.mkdir(parents=True)
    spec = gymnasium.spec("Pendulum-v1")
    storage = MinariStorage.new(folder, space, actions, metadata.pop("env_spec", spec))
    if episodes is None:
        generator = np.random.default_rng(0)
        episodes = [episode(steps, generator, space) for steps in LENGTHS]
    storage.update_episodes(episodes)
    storage.update_metadata({"dataset_id": id, "minari_version": minari.__version__, **metadata})
    return folder


def one_line(error: pytest.ExceptionInfo[ZooError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("space", [BOX, GOALS], ids=["vector", "dictionary"])
@pytest.mark.parametrize("times", [1, 2], ids=["first", "cached"])
def test_it_equals_a_slow_obvious_reading(roots: Path, space: spaces.Space, times: int) -> None:
    folder = make(roots, space=space)
    for _ in range(times):
        data = datasets.find("test/set-v0").data
    assert data.lengths.tolist() == LENGTHS
    transition = row = 0
    for logged in minari.MinariDataset(folder).iterate_episodes():
        for t in range(len(logged.rewards)):
            if space is GOALS:
                now, after = (
                    [*logged.observations["goal"][s], *logged.observations["observation"][s]]
                    for s in (t, t + 1)
                )
            else:
                now, after = logged.observations[t], logged.observations[t + 1]
            here = int(data.rows[transition])
            assert here == row + t
            np.testing.assert_allclose(data.observations[here], now, rtol=1e-6)
            np.testing.assert_allclose(data.observations[here + 1], after, rtol=1e-6)
            unit = [logged.actions[t][0] / 2.0, logged.actions[t][1] * 4.0 - 1.0]
            np.testing.assert_allclose(data.actions[transition], unit, atol=1e-6)
            assert float(data.rewards[transition]) == np.float32(logged.rewards[t])
            assert bool(data.terminations[transition]) == bool(logged.terminations[t])
            assert bool(data.truncations[transition]) == bool(logged.truncations[t])
            transition += 1
        row += len(logged.rewards) + 1
    assert transition == len(data) == sum(LENGTHS)
    assert row == len(data.observations)
    assert data.terminations.any()
    assert data.truncations.any()
    data.check_values()


def test_an_episode_without_transitions_is_left_out(roots: Path) -> None:
    generator = np.random.default_rng(0)
    listed = [episode(steps, generator, BOX) for steps in (2, 3)]
    folder = make(roots, episodes=listed)
    import h5py

    with h5py.File(folder / "main_data.hdf5", "a") as file:
        for key in ("actions", "rewards", "terminations", "truncations"):
            file["episode_0"][key].resize(0, axis=0)
        file["episode_0"]["observations"].resize(1, axis=0)
    assert datasets.find("test/set-v0").data.lengths.tolist() == [3]


def test_the_stored_digest_is_the_contents(roots: Path) -> None:
    make(roots)
    data = datasets.find("test/set-v0").data
    stored = data.digest
    del vars(data)["digest"]
    assert data.digest == stored


def test_tensors_may_be_written_without_changing_the_cache(roots: Path) -> None:
    make(roots)
    data = datasets.find("test/set-v0").data
    before = data.rewards.clone()
    data.rewards.zero_()
    assert torch.equal(datasets.find("test/set-v0").data.rewards, before)


def test_a_changed_dataset_is_read_again(roots: Path) -> None:
    folder = make(roots)
    before = datasets.find("test/set-v0").data
    time.sleep(0.01)
    storage = MinariStorage.read(folder)
    storage.update_episodes([episode(9, np.random.default_rng(1), BOX)])
    after = datasets.find("test/set-v0").data
    assert len(after) == len(before) + 9
    assert after.digest != before.digest
    assert len(list((roots / "zoo/cache/datasets/test/set-v0").glob("*/meta.json"))) == 1


def damage_cut(folder: Path) -> None:
    path = folder / "rewards.npy"
    path.write_bytes(path.read_bytes()[:-3])


def damage_gone(folder: Path) -> None:
    (folder / "lengths.npy").unlink()


def damage_meta(folder: Path) -> None:
    (folder / "meta.json").write_text("{")


def damage_header(folder: Path) -> None:
    path = folder / "actions.npy"
    path.write_bytes(b"x" * path.stat().st_size)


def damage_list(folder: Path) -> None:
    (folder / "meta.json").write_text("[]")


@pytest.mark.parametrize(
    "damage", [damage_cut, damage_gone, damage_meta, damage_header, damage_list]
)
def test_a_damaged_cache_is_rebuilt(roots: Path, damage: Callable[[Path], None]) -> None:
    make(roots)
    whole = datasets.find("test/set-v0").data
    (meta,) = (roots / "zoo/cache").rglob("meta.json")
    damage(meta.parent)
    again = datasets.find("test/set-v0").data
    assert torch.equal(again.observations, whole.observations)
    assert again.digest == whole.digest


def test_a_cached_dataset_is_not_read_again(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(roots)
    whole = datasets.find("test/set-v0").data.digest

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("zoo_leaderboard.datasets.dataset.read", refuse)
    assert datasets.find("test/set-v0").data.digest == whole


def test_minaris_root_may_be_read_only(roots: Path) -> None:
    make(roots)
    before = sorted(path for path in (roots / "minari").rglob("*"))
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (roots / "minari").chmod(0o555)
    try:
        assert len(datasets.find("0.5*test/set-v0").data.lengths) == 3
        assert datasets.listing()[-1].id == "test/set-v0"
        assert sorted(path for path in (roots / "minari").rglob("*")) == before
    finally:
        for path in [roots / "minari", *before]:
            path.chmod(0o755)


# Bad data: each one line that names the dataset, and the episode where there is one.


@pytest.mark.parametrize("key", ["observations", "actions", "rewards"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_data(roots: Path, key: str, value: float) -> None:
    generator = np.random.default_rng(0)
    listed = [episode(steps, generator, BOX) for steps in LENGTHS]
    getattr(listed[2], key)[1] = value
    make(roots, episodes=listed)
    with pytest.raises(ZooError) as caught:
        _ = datasets.find("test/set-v0").data
    assert f"dataset 'test/set-v0', episode 2: {key} has NaN or infinity" in one_line(caught)


def test_actions_outside_their_bounds_are_refused_and_rounding_is_clipped(roots: Path) -> None:
    generator = np.random.default_rng(0)
    listed = [episode(steps, generator, BOX) for steps in LENGTHS]
    listed[0].actions[0, 0] = 2.0 + 1e-6
    make(roots, "test/rounding-v0", episodes=listed)
    assert float(datasets.find("test/rounding-v0").data.actions[0, 0]) == 1.0
    listed[3].actions[1, 1] = 0.51
    make(roots, episodes=listed)
    with pytest.raises(ZooError) as caught:
        _ = datasets.find("test/set-v0").data
    assert "'test/set-v0', episode 3: actions leave the bounds" in one_line(caught)


def test_too_few_observations(roots: Path) -> None:
    listed = [episode(3, np.random.default_rng(0), BOX)]
    short = EpisodeBuffer(**{**vars(listed[0]), "observations": listed[0].observations[:-1]})
    make(roots, episodes=[*listed, short])
    with pytest.raises(ZooError) as caught:
        _ = datasets.find("test/set-v0").data
    assert "episode 1: 3 observations where 3 transitions need 4" in one_line(caught)


def test_an_empty_dataset(roots: Path) -> None:
    make(roots, episodes=[])
    with pytest.raises(ZooError) as caught:
        _ = datasets.find("test/set-v0").data
    assert "dataset 'test/set-v0' is empty" in one_line(caught)


@pytest.mark.parametrize(
    ("space", "actions", "words"),
    [
        (BOX, spaces.Discrete(3), "Discrete actions"),
        (spaces.Box(0, 255, (40, 40, 3), np.uint8), ACTIONS, "image"),
        (spaces.Discrete(3), ACTIONS, "Discrete observations"),
        (BOX, spaces.Box(-np.inf, np.inf, (2,)), "without finite bounds"),
    ],
)
def test_other_spaces_are_refused_before_anything_loads(
    roots: Path, space: spaces.Space, actions: spaces.Space, words: str
) -> None:
    make(roots, space=space, actions=actions, episodes=[])
    with pytest.raises(ZooError, match=words) as caught:
        datasets.find("test/set-v0")
    assert "test/set-v0" in one_line(caught)
    (info,) = (info for info in datasets.listing() if info.id == "test/set-v0")
    assert words in str(info.problem)


def test_a_damaged_file(roots: Path) -> None:
    folder = make(roots)
    (folder / "main_data.hdf5").write_bytes(b"damaged")
    with pytest.raises(ZooError) as caught:
        _ = datasets.find("test/set-v0").data
    assert "cannot be read" in one_line(caught)


def test_damaged_metadata(roots: Path) -> None:
    folder = make(roots)
    (folder / "metadata.json").write_text("{")
    with pytest.raises(ZooError) as caught:
        datasets.find("test/set-v0")
    assert "metadata.json" in one_line(caught)
    assert any(info.problem for info in datasets.listing())


def test_an_unwritable_home(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(roots)
    (roots / "file").write_text("")
    monkeypatch.setenv("ZOO_HOME", str(roots / "file"))
    with pytest.raises(ZooError) as caught:
        _ = datasets.find("test/set-v0").data
    assert "set ZOO_HOME" in one_line(caught)


# The environment.


def spec_of(**fields: Any) -> gymnasium.envs.registration.EnvSpec:
    return gymnasium.envs.registration.EnvSpec(**fields)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, 'pip install "package_that_nobody_has"'),
        ({"requirements": ["other>=2"]}, 'pip install "other>=2" "package_that_nobody_has"'),
        (
            {"requirements": ["package_that_nobody_has>=2"]},
            'pip install "package_that_nobody_has>=2"',
        ),
    ],
)
def test_a_missing_environment_package_is_named(
    roots: Path, metadata: dict[str, Any], words: str
) -> None:
    spec = spec_of(id="Far-v0", entry_point="package_that_nobody_has.envs:Far")
    make(roots, env_spec=spec, **metadata)
    with pytest.raises(ZooError) as caught:
        datasets.find("test/set-v0").make_env()
    assert "environment 'Far-v0' needs the package 'package_that_nobody_has'" in one_line(caught)
    assert words in str(caught.value)


def test_an_environment_with_other_spaces_is_refused(roots: Path) -> None:
    make(roots)
    with pytest.raises(ZooError) as caught:
        datasets.find("test/set-v0").make_env()
    assert "other action bounds than environment 'Pendulum-v1'" in one_line(caught)


def test_a_dataset_without_environment_loads_but_cannot_be_evaluated(roots: Path) -> None:
    make(roots, env_spec=None)
    found = datasets.find("test/set-v0")
    assert found.environment is None
    assert found.reference is None
    assert len(found.data) == sum(LENGTHS)
    with pytest.raises(ZooError, match="names no environment"):
        found.make_env()


def test_the_evaluation_environment_wins(roots: Path) -> None:
    spec = copy.deepcopy(gymnasium.spec("Pendulum-v1"))
    spec.kwargs = {"g": 9.0}
    make(roots, eval_env_spec=spec.to_json())
    environment = datasets.find("test/set-v0").environment
    assert environment is not None
    assert environment.spec["kwargs"] == {"g": 9.0}


# Expressions.


def test_a_sum_joins_and_a_fraction_keeps_whole_episodes_in_order(roots: Path) -> None:
    make(roots)
    generator = np.random.default_rng(5)
    make(roots, "test/other-v0", episodes=[episode(s, generator, BOX) for s in (4, 6)])
    one, other = datasets.find("test/set-v0").data, datasets.find("test/other-v0").data
    found = datasets.find("test/set-v0 + test/other-v0")
    assert found.name == found.data.name == "test/set-v0+test/other-v0"
    assert found.data.lengths.tolist() == [*LENGTHS, 4, 6]
    assert found.data.ends == (len(LENGTHS) - 1, len(LENGTHS) + 1)
    assert torch.equal(found.data.observations, torch.cat([one.observations, other.observations]))
    assert torch.equal(found.data.truncations, torch.cat([one.truncations, other.truncations]))
    half = datasets.find("0.5*test/set-v0").data
    assert half.lengths.tolist() == LENGTHS[1::2]
    assert half.ends == ((len(half.lengths) - 1,) if len(LENGTHS) % 2 == 0 else ())
    for episode_number, source in enumerate(range(1, len(LENGTHS), 2)):
        for starts, field in ((half.starts, half.actions), (one.starts, one.actions)):
            assert len(field) == int(starts[-1])
        mine = half.observations[int(half.starts[episode_number]) + episode_number]
        theirs = one.observations[int(one.starts[source]) + source]
        assert torch.equal(mine, theirs)
    assert half.digest != one.digest
    with pytest.raises(ZooError, match="less than one"):
        _ = datasets.find("0.1*test/set-v0").data


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": GOALS}, "observation spaces differ"),
        ({"actions": spaces.Box(-2, 2, (2,), np.float64)}, "action spaces differ"),
        ({"env_spec": gymnasium.spec("MountainCarContinuous-v0")}, "different environments"),
        ({"env_spec": None}, "different environments"),
    ],
)
def test_sets_that_do_not_fit_are_not_joined(
    roots: Path, changes: dict[str, Any], words: str
) -> None:
    make(roots)
    make(roots, "test/other-v0", **changes)
    with pytest.raises(ZooError, match=words) as caught:
        datasets.find("test/set-v0+test/other-v0")
    assert "'test/set-v0' and 'test/other-v0' cannot be joined" in one_line(caught)


def test_the_first_member_with_references_gives_them(roots: Path) -> None:
    make(roots)
    make(roots, "test/other-v0", ref_min_score=-10.0, ref_max_score=10.0)
    reference = datasets.find("test/set-v0+test/other-v0").reference
    assert reference is not None
    assert reference.source == "metadata of test/other-v0"
    assert reference.normalized(0.0) == 50.0


@pytest.mark.parametrize("id", ["Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "Ant-v5"])
def test_mujoco_sets_fall_back_on_d4rls_references(roots: Path, id: str) -> None:
    make(roots, env_spec=gymnasium.spec(id))
    reference = datasets.find("test/set-v0").reference
    assert reference is not None
    assert "D4RL" in reference.source
    assert "gym-v2" in reference.source
    assert reference.normalized(reference.max) == 100.0


def test_humanoid_has_no_reference(roots: Path) -> None:
    make(roots, env_spec=gymnasium.spec("Humanoid-v5"))
    assert datasets.find("test/set-v0").reference is None


# Where datasets are found.


def test_the_zoos_folder_comes_before_minaris(roots: Path) -> None:
    make(roots)
    make(roots / "x", "test/set-v0", episodes=[episode(9, np.random.default_rng(1), BOX)])
    (roots / "zoo").mkdir()
    (roots / "x" / "minari").rename(roots / "zoo" / "datasets")
    assert len(datasets.find("test/set-v0").data) == 9
    assert [i.where for i in datasets.listing() if i.id == "test/set-v0"] == ["zoo"]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MINARI_REMOTE", raising=False)


@pytest.mark.usefixtures("offline")
def test_a_known_dataset_offline_says_what_to_do(roots: Path) -> None:
    with pytest.raises(ZooError) as caught:
        datasets.find("mujoco/hopper/expert-v0")
    message = one_line(caught)
    assert "minari download mujoco/hopper/expert-v0" in message
    assert str(roots / "minari" / "mujoco/hopper/expert-v0") in message
    assert "MINARI_DATASETS_PATH" in message


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("mujoco/hoper/expert-v0", "'mujoco/hopper/expert-v0'"),
        ("zoo/pendulum/mix-v0", "'zoo/pendulum/mixed-v0'"),
        ("test/sets-v0", "'test/set-v0'"),
    ],
)
def test_an_unknown_id_offers_the_nearest(roots: Path, wrong: str, near: str) -> None:
    make(roots)
    with pytest.raises(UnknownName) as caught:
        datasets.find(wrong)
    assert near in one_line(caught)


def test_download_goes_through_minari_and_appears_by_rename(
    roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(roots / "server", "mujoco/hopper/expert-v0")
    monkeypatch.setattr(locate, "require_network", lambda: None)

    def fake(id: str) -> None:
        import shutil

        target = Path(os.environ["MINARI_DATASETS_PATH"]) / id
        assert not (roots / "minari" / id).exists()
        shutil.copytree(roots / "server" / "minari" / id, target)

    monkeypatch.setattr(minari, "download_dataset", fake)
    assert len(datasets.find("mujoco/hopper/expert-v0").data) == sum(LENGTHS)
    assert (roots / "minari" / "mujoco/hopper/expert-v0/data").is_dir()
    assert os.environ["MINARI_DATASETS_PATH"] == str(roots / "minari")
    assert not list((roots / "minari").glob(".*"))


def test_a_dataset_that_the_server_does_not_have(
    roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate, "require_network", lambda: None)

    def fake(id: str) -> None:
        raise ValueError("Couldn't find any version")

    monkeypatch.setattr(minari, "download_dataset", fake)
    with pytest.raises(UnknownName):
        datasets.find("test/nothing-v0")


@pytest.mark.usefixtures("offline")
def test_listing_remote_offline_is_one_clear_line() -> None:
    with pytest.raises(ZooError) as caught:
        datasets.listing(remote=True)
    assert "--remote" in one_line(caught)


def test_listing_remote_reads_what_the_server_says(
    roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = json.loads((make(roots, ref_min_score=0.0) / "metadata.json").read_text())
    answer = {"test/set-v0": metadata, "far/away-v0": {**metadata, "dataset_id": "far/away-v0"}}
    monkeypatch.setattr(catalogue, "require_network", lambda: None)
    monkeypatch.setattr(minari, "list_remote_datasets", lambda: answer)
    rows = {info.id: info for info in datasets.listing(remote=True)}
    assert rows["test/set-v0"].where == "local"
    far = rows["far/away-v0"]
    assert (far.where, far.episodes, far.observation_dim, far.action_dim) == ("remote", 7, 3, 2)
    assert far.environment == "Pendulum-v1"


def test_the_documented_way_to_write_episodes(roots: Path, repository: Path) -> None:
    page = repository / "docs/how-to/use_your_data.md"
    if not page.is_file():
        pytest.skip("needs the project's checkout")
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if "create_dataset_from_buffers" in block)
    # DataCollector needs jax, which the product does not install.
    assert "DataCollector" not in block
    exec(block, {})
    found = datasets.find("mine/pendulum/random-v0")
    assert found.data.lengths.tolist() == [200, 200, 200]
    assert found.data.truncations.sum() == 3
    assert found.environment is not None
    assert found.environment.id == "Pendulum-v1"
    assert found.reference is not None
    assert found.reference.min == -1227.7


def test_importing_is_light() -> None:
    code = (
        "import sys; import zoo_leaderboard.datasets; "
        "print([m for m in ('minari', 'gymnasium', 'h5py', 'mujoco') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_dataset_goes_to_another_process(roots: Path) -> None:
    make(roots)
    found = datasets.find("test/set-v0")
    assert pickle.loads(pickle.dumps(found)).name == found.name
