"""Minari's file of episodes: h5py and Minari read it, append to it, and find what was written."""

import shutil
import time

import h5py
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import episode_file, progress
from zoo_leaderboard.datasets import home as home_module
from zoo_leaderboard.datasets.importing import import_file

ID = "mine/many-v0"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "home"


def arrays(lengths):
    rng = np.random.default_rng(0)
    steps, rows = lengths.sum(), lengths.sum() + len(lengths)
    return {
        "observations/position": rng.normal(size=(rows, 2, 3)),
        "observations/velocity": rng.normal(size=rows).astype(np.float32),
        "actions": rng.normal(size=(steps, 2)).astype(np.float16),
        "rewards": rng.integers(0, 99, steps),
        "terminations": rng.random(steps) < 0.5,
    }


@pytest.mark.parametrize("episodes", [1, 2, 64, 65, 2048, 2049])
def test_h5py_reads_every_episode_and_can_append(episodes, tmp_path):
    """Up to and beyond full leaves and nodes of the tree of names."""
    lengths = np.random.default_rng(1).integers(1, 5, episodes)
    written = arrays(lengths)
    path = tmp_path / "main_data.hdf5"
    episode_file.write(path, written, lengths)

    def check():
        stops = np.cumsum(lengths)
        with h5py.File(path) as file:
            names = {f"episode_{number}" for number in range(episodes)}
            assert names <= set(file)
            for number in sorted({0, 1, episodes // 2, episodes - 1} & set(range(episodes))):
                group = file[f"episode_{number}"]
                assert group.attrs["id"] == number
                assert group.attrs["total_steps"] == lengths[number]
                for name, array in written.items():
                    more = number if name.startswith("obs") else -1
                    stop = stops[number] + more + 1
                    part = array[stop - lengths[number] - (more >= 0) : stop]
                    assert group[name].dtype == array.dtype
                    np.testing.assert_array_equal(group[name][()], part)

    check()
    with h5py.File(path, "a") as file:
        file["episode_0"].attrs["seed"] = 3
        for number in range(200):
            file.create_group(f"episode_{episodes + number}")["rewards"] = np.zeros(2)
    check()
    with h5py.File(path) as file:
        assert len(file) == episodes + 200 and file["episode_0"].attrs["seed"] == 3


def archive(path, rows, length):
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(rows, 3))
    np.savez(
        path,
        observations=observations,
        next_observations=np.append(observations[1:], observations[:1], 0),
        actions=rng.uniform(-2.0, 2.0, (rows, 1)),
        rewards=rng.normal(size=rows),
        terminations=np.arange(rows) % length == length - 1,
        truncations=np.zeros(rows, bool),
    )
    return path


def test_minari_itself_reads_and_extends_an_import(home, tmp_path):
    done = import_file(archive(tmp_path / "a.npz", 60, 4), ID, "Pendulum-v1")
    found = minari.MinariDataset(done.data_path)
    assert (found.total_episodes, found.total_steps) == (15, 60)
    data = datasets.find(ID).data
    observations = np.concatenate([episode.observations for episode in found])
    np.testing.assert_array_equal(observations, data.observations)
    assert found.storage.metadata["dataset_size"] == found.storage.get_size()
    found.storage.update_episode_metadata([{"seed": 5}] * 15)
    assert next(iter(found.storage.get_episode_metadata([3])))["seed"] == 5
    found.update_dataset_from_buffer(
        [
            EpisodeBuffer(
                observations=np.zeros((3, 3), np.float32),
                actions=np.zeros((2, 1), np.float32),
                rewards=np.ones(2),
                terminations=np.zeros(2, bool),
                truncations=np.array([False, True]),
            )
        ]
    )
    assert datasets.find(ID).data.lengths.tolist() == [4] * 15 + [2]


def test_the_copy_of_an_import_is_what_its_file_reads_as(home, tmp_path):
    import_file(archive(tmp_path / "a.npz", 200, 7), ID, "Pendulum-v1")
    left = datasets.find(ID).data
    digest = left.digest
    shutil.rmtree(home / "cache")
    again = datasets.find(ID).data
    assert again.digest == digest
    for name in ("observations", "actions", "rewards", "terminations", "truncations", "lengths"):
        np.testing.assert_array_equal(getattr(left, name), getattr(again, name))


def test_reading_equals_minaris(tmp_path):
    part = spaces.Box(-9.0, 9.0, (2,))
    space = spaces.Dict({"a": part, "b": spaces.Tuple([part, spaces.Dict({"c": part})])})
    storage = MinariStorage.new(tmp_path, space, part)
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(4, 2)).astype(np.float32) for _ in range(3)]
    flags = np.zeros(3, bool)
    buffer = EpisodeBuffer(
        observations={"a": rows[0], "b": (rows[1], {"c": rows[2]})},
        actions=rows[0][:3],
        rewards=np.arange(3.0),
        terminations=flags,
        truncations=~flags,
        infos={"large": np.zeros(3)},
    )
    storage.update_episodes([buffer])
    (ours,) = episode_file.read(tmp_path / "main_data.hdf5", [0])
    (theirs,) = storage.get_episodes([0])
    assert set(ours) == set(episode_file.PARTS)
    for name in episode_file.PARTS[1:]:
        np.testing.assert_array_equal(ours[name], theirs[name])
    np.testing.assert_array_equal(ours["observations"]["a"], rows[0])
    np.testing.assert_array_equal(ours["observations"]["b"][0], rows[1])
    np.testing.assert_array_equal(ours["observations"]["b"][1]["c"], rows[2])


def test_short_episodes_take_little_longer_than_long_ones(home, tmp_path):
    """20,000 rows as 20 and as 10,000 episodes: import and first use."""
    seconds = []
    for length in (1000, 2):
        path = archive(tmp_path / f"{length}.npz", 20_000, length)
        start = time.process_time()
        import_file(path, f"mine/l{length}-v0", "Pendulum-v1")
        assert len(datasets.find(f"mine/l{length}-v0").data) == 20_000
        seconds.append(time.process_time() - start)
    assert seconds[1] < 10 * seconds[0] + 0.5


def test_a_bar_is_shown_for_many_on_a_terminal_alone(monkeypatch, capsys):
    few, many = range(10), range(progress.LONG)
    assert progress.tracked(many, "reading") is many
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    assert progress.tracked(few, "reading") is few
    assert list(progress.tracked(many, "reading")) == list(many)
    assert capsys.readouterr().out == ""


def test_ids_as_long_as_allowed_work_and_longer_ones_are_a_line(home, tmp_path):
    path = archive(tmp_path / "a.npz", 20, 5)
    part = "a" * 197 + "-v0"
    for id in (part, f"{'b' * 200}/{part}"):
        import_file(path, id, "Pendulum-v1")
        assert len(datasets.find(id).data) == 20
        assert len(datasets.find(f"0.5*{id} + {id}").data) == 30
    for id in (f"a{part}", f"{'b' * 201}/x-v0", "/".join(["c" * 99] * 5 + ["x-v0"])):
        for attempt in (
            lambda id=id: import_file(path, id, "Pendulum-v1"),
            lambda id=id: datasets.find(id),
            lambda id=id: datasets.find(f"{id}+{id}"),
        ):
            with pytest.raises(ZooError, match="too long") as refused:
                attempt()
            assert "\n" not in str(refused.value) and len(str(refused.value)) <= 200
    with pytest.raises(ZooError) as refused:
        datasets.find("no such name " * 100)
    assert len(str(refused.value)) <= 250


def test_locks_of_long_names_are_apart(home):
    with home_module.lock("datasets/" + "a" * 400 + "1"), home_module.lock("datasets/" + "a" * 400):
        assert len(list((home / "locks").iterdir())) == 2
