"""Files of other libraries, as their writers lay them out, and the exact transitions back."""

import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from zoo_core.cli import main
from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets.importing import import_file
from zoo_leaderboard.datasets.importing.episodes import Episodes, Log
from zoo_leaderboard.datasets.importing.observations import arranged

ID = "mine/pendulum/test-v0"
ENDS = ((4, "terminated"), (1, "terminated"), (6, "cut"), (3, "cut"), (2, "unfinished"))
"""Episodes of unequal lengths; the file ends in the middle of the last one."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "home"


def episodes():
    """Of Pendulum's sizes, every observation another; actions that scale without rounding."""
    generator = np.random.default_rng(0)
    for length, end in ENDS:
        yield SimpleNamespace(
            observations=generator.standard_normal((length + 1, 3)).astype(np.float32),
            actions=(generator.integers(-128, 129, (length, 1)) / 64.0).astype(np.float32),
            rewards=generator.standard_normal(length).astype(np.float32),
            terminated=end == "terminated",
            finished=end != "unfinished",
        )


def rows():
    """The arrays of D4RL: one row a transition, final observations in next_observations alone."""
    found = {name: [] for name in ("observations", "actions", "rewards", "next_observations")}
    terminals, timeouts = [], []
    for each in episodes():
        found["observations"].append(each.observations[:-1])
        found["next_observations"].append(each.observations[1:])
        found["actions"].append(each.actions)
        found["rewards"].append(each.rewards)
        last = np.arange(len(each.rewards)) == len(each.rewards) - 1
        terminals.append(last & each.terminated)
        timeouts.append(last & (not each.terminated) & each.finished)
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    return {
        **arrays,
        "terminals": np.concatenate(terminals),
        "timeouts": np.concatenate(timeouts),
    }


def hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return path


def d4rl(path, **changes):
    """With what v2 files hold besides."""
    arrays = {**rows(), "infos/qpos": np.zeros((16, 2)), "metadata/algorithm": "SAC"}
    arrays.update(changes)
    return hdf5(path, {name: array for name, array in arrays.items() if array is not None})


def d3rlpy_1(path, **changes):
    arrays = rows()
    ends = arrays["terminals"] | arrays["timeouts"]
    file = {
        "observations": arrays["observations"],
        "actions": arrays["actions"],
        "rewards": arrays["rewards"],
        "terminals": arrays["terminals"].astype(np.float32),
        "episode_terminals": ends.astype(np.float32),
        "discrete_action": False,
        "version": "1.0",
        **changes,
    }
    return hdf5(path, {name: array for name, array in file.items() if array is not None})


def d3rlpy_2(path, **changes):
    listed = list(episodes())
    file = {
        "columns": ["observations", "actions", "rewards", "terminated"],
        "num_episodes": len(listed),
        "version": "2.1",
    }
    for i, each in enumerate(listed):
        file[f"observations_{i}"] = each.observations[:-1]
        file[f"actions_{i}"] = each.actions
        file[f"rewards_{i}"] = each.rewards[:, None]
        file[f"terminated_{i}"] = each.terminated
    return hdf5(path, {**file, **changes})


def archive(path, **changes):
    arrays = {**rows(), **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def check(data, successor_known):
    """The arrays of `episodes`, as far as the file has them."""
    expected = []
    for each in episodes():
        steps = len(each.rewards)
        if successor_known:
            final = each.observations[steps]
        elif each.terminated:
            final = each.observations[steps - 1]
        else:
            steps -= 1
            final = each.observations[steps]
        if steps:
            expected.append((each, steps, final))
    assert data.lengths.tolist() == [steps for _, steps, _ in expected]
    row = step = 0
    for each, steps, final in expected:
        observations = data.observations[row : row + steps + 1].numpy()
        np.testing.assert_array_equal(observations[:-1], each.observations[:steps])
        np.testing.assert_array_equal(observations[-1], final)
        part = slice(step, step + steps)
        np.testing.assert_array_equal(data.actions[part].numpy(), each.actions[:steps] / 2.0)
        np.testing.assert_array_equal(data.rewards[part].numpy(), each.rewards[:steps])
        last = np.arange(steps) == steps - 1
        np.testing.assert_array_equal(data.terminations[part], last & each.terminated)
        np.testing.assert_array_equal(data.truncations[part], last & (not each.terminated))
        row, step = row + steps + 1, step + steps
    assert row == len(data.observations) and step == len(data.rewards)


@pytest.mark.parametrize(
    ("write", "layout", "successor_known"),
    [
        (d4rl, "d4rl", True),
        (lambda path: d4rl(path, next_observations=None), "d4rl", False),
        (lambda path: d4rl(path, rewards=rows()["rewards"][:, None]), "d4rl", True),
        (d3rlpy_1, "d3rlpy", False),
        (d3rlpy_2, "d3rlpy", False),
        (archive, "numpy", True),
        (lambda path: archive(path, next_observations=None), "numpy", False),
    ],
)
def test_every_transition_comes_back(write, layout, successor_known, home, tmp_path):
    suffix = ".npz" if layout == "numpy" else ".hdf5"
    done = import_file(write(tmp_path / f"log{suffix}"), ID, "Pendulum-v1")
    assert done.log.layout == layout
    assert done.log.dropped == (0 if successor_known else 3)
    assert done.log.repeated == (0 if successor_known else 2)
    assert done.log.seams == 0
    found = datasets.find(ID, download=False)
    check(found.data, successor_known)
    assert (found.episodes, found.steps) == (done.episodes, done.steps)
    assert found.environment.id == "Pendulum-v1" and found.reference is None
    found.make_env().close()


def test_gymnasiums_names_serve_in_archives_too(home, tmp_path):
    arrays = rows()
    arrays["terminations"], arrays["truncations"] = arrays.pop("terminals"), arrays.pop("timeouts")
    np.savez(tmp_path / "log.npz", **arrays)
    import_file(tmp_path / "log.npz", ID, "Pendulum-v1")
    check(datasets.find(ID, download=False).data, True)


def test_an_episode_is_cut_where_the_next_observation_is_anothers(home, tmp_path):
    arrays = rows()
    following = arrays["next_observations"].copy()
    following[7] += 1.0
    done = import_file(d4rl(tmp_path / "a.hdf5", next_observations=following), ID, "Pendulum-v1")
    data = datasets.find(ID, download=False).data
    assert done.log.seams == 1
    assert data.lengths.tolist() == [4, 1, 3, 3, 3, 2]
    row = int((data.lengths + 1)[:3].sum()) - 1
    np.testing.assert_array_equal(data.observations[row].numpy(), following[7])
    assert bool(data.truncations[7]) and not bool(data.terminations[7])


def test_mazes_show_their_goals_as_gymnasium_robotics_does():
    from gymnasium import spaces

    def space(state):
        sizes = {"achieved_goal": 2, "desired_goal": 2, "observation": state}
        return spaces.Dict({k: spaces.Box(-np.inf, np.inf, (n,)) for k, n in sizes.items()})

    flat, goals = np.arange(24.0).reshape(4, 6), np.arange(8.0).reshape(4, 2)
    episodes = Episodes(
        flat, np.zeros((3, 1)), np.zeros(3), np.array([False]), np.array([3]), goals
    )
    ant = arranged(episodes, Log("d4rl"), space(4))
    np.testing.assert_array_equal(ant["achieved_goal"], flat[:, :2])
    np.testing.assert_array_equal(ant["observation"], flat[:, 2:])
    np.testing.assert_array_equal(ant["desired_goal"], goals)
    point = arranged(episodes, Log("d4rl"), space(6))
    np.testing.assert_array_equal(point["achieved_goal"], flat[:, :2])
    np.testing.assert_array_equal(point["observation"], flat)
    with pytest.raises(ZooError, match="the file none"):
        arranged(episodes._replace(goals=None), Log("d4rl"), space(4))
    with pytest.raises(ZooError, match="6 observation and 2 goal values"):
        arranged(episodes, Log("d4rl"), space(9))


def bad(name, index, value):
    array = rows()[name].astype(np.float64 if name != "terminals" else np.float32)
    array[index] = value
    return {name: array}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: d4rl(path, actions=None), "has no 'actions'"),
        (
            lambda path: hdf5(path, {"qpos": np.zeros(3)}),
            "no layout that the zoo reads; it has qpos",
        ),
        (lambda path: d4rl(path, **bad("rewards", 3, np.nan)), "NaN or infinity among its rewards"),
        (lambda path: d4rl(path, **bad("actions", 3, np.inf)), "NaN or infinity among its actions"),
        (lambda path: d4rl(path, **bad("actions", 3, 2.1)), r"leave the bounds of Pendulum-v1, -2"),
        (lambda path: d4rl(path, **bad("terminals", 3, np.nan)), "not all 0 or 1"),
        (lambda path: d4rl(path, rewards=np.zeros(15)), "observations and 15 rewards"),
        (lambda path: d4rl(path, observations=np.zeros((16, 4))), "another shape"),
        (lambda path: d4rl(path, actions=np.zeros((16, 2))), "2 action values, Pendulum-v1 1"),
        (lambda path: d4rl(path, observations=np.zeros((16, 2, 2, 3))), "shape 16x2x2x3"),
        (
            lambda path: d4rl(
                path, terminals=np.zeros(16), timeouts=np.zeros(16), next_observations=None
            ),
            "no transition of the file ends an episode",
        ),
        (lambda path: hdf5(path, {n: a[:0] for n, a in rows().items()}), "empty"),
        (lambda path: d3rlpy_1(path, version=None), "before 1.0"),
        (lambda path: d3rlpy_2(path, version="2.0"), "version 2.0"),
        (lambda path: d3rlpy_2(path, actions_1=np.zeros((3, 1))), "different lengths"),
        (lambda path: path.write_bytes(b"") and path, "empty"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n") and path, "neither HDF5 nor"),
        (lambda path: archive(path.with_suffix(".npz"), rewards=np.array([{}] * 16)), "objects"),
    ],
)
def test_what_cannot_be_imported_leaves_a_line_and_nothing_else(write, message, home, tmp_path):
    path = tmp_path / "log.hdf5"
    with pytest.raises(ZooError, match=message) as refused:
        import_file(write(path) or path, ID, "Pendulum-v1")
    assert "\n" not in str(refused.value) and "was not imported" in str(refused.value)
    assert not (home / "datasets").exists()


def test_a_truncated_file_is_refused(home, tmp_path):
    whole = d4rl(tmp_path / "log.hdf5").read_bytes()
    for size in (len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.hdf5").write_bytes(whole[:size])
        with pytest.raises(ZooError, match="cut short: "):
            import_file(tmp_path / "cut.hdf5", ID, "Pendulum-v1")
    with pytest.raises(ZooError, match="no such file"):
        import_file(tmp_path / "nowhere.hdf5", ID, "Pendulum-v1")
    assert not (home / "datasets").exists()


def test_an_id_that_is_taken_is_refused_unless_it_is_to_be_replaced(home, tmp_path):
    path = d4rl(tmp_path / "log.hdf5")
    import_file(path, ID, "Pendulum-v1")
    with pytest.raises(ZooError, match="--replace replaces it"):
        import_file(path, ID, "Pendulum-v1")
    with pytest.raises(ZooError, match="cannot be below it"):
        import_file(path, f"{ID}/more-v0", "Pendulum-v1")
    for id in ("zoo/pendulum/mixed-v0", "D4RL/door/human-v2"):
        with pytest.raises(ZooError, match="public dataset"):
            import_file(path, id, "Pendulum-v1")
    for id in ("../up-v0", "0.5*mine-v0", "mine"):
        with pytest.raises(ZooError):
            import_file(path, id, "Pendulum-v1")
    broken = d4rl(tmp_path / "broken.hdf5", rewards=None)
    with pytest.raises(ZooError):
        import_file(broken, ID, "Pendulum-v1", replace=True)
    check(datasets.find(ID, download=False).data, True)
    import_file(d3rlpy_1(tmp_path / "1.h5"), ID, "Pendulum-v1", replace=True)
    check(datasets.find(ID, download=False).data, False)


def test_the_command_imports_lists_and_trains(home, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def zoo(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    path = d3rlpy_2(tmp_path / "log.h5")
    scores = ["--reference-min", -1200, "--reference-max", -150, "--reference-source", "ours"]
    imported = ("datasets", "import", path, "--id", ID, "--environment", "Pendulum-v1")
    code, _, err = zoo(*imported, "--reference-min", 3)
    assert code == 2 and "both --reference-min and --reference-max" in err
    code, out, err = zoo(*imported, *scores)
    assert code == 0, err
    assert f"as {ID}: 5 episodes, 13 transitions" in out
    assert "3 cut episodes lost their last transition" in out
    code, out, _ = zoo("datasets")
    (line,) = [line for line in out.splitlines() if line.startswith(ID)]
    assert "-1200 to -150" in line
    settings = ["--set", "steps=2", "--set", "batch_size=4", "--episodes", 1, "--evaluations", 1]
    code, out, err = zoo("train", "bc", ID, *settings, "--out", "run")
    assert code == 0, err
    assert (
        json.loads((tmp_path / "run" / "result.json").read_text())["reference"]["source"] == "ours"
    )
