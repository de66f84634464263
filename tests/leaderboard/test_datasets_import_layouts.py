"""Files as other libraries and their users write them: every name, layout and kind of content."""

import gzip
import io
import json
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import torch
from gymnasium import spaces

from zoo_core.cli import main
from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets.importing import import_file
from zoo_leaderboard.datasets.importing.naming import SYNONYMS
from zoo_leaderboard.datasets.importing.precision import equal_rows

ID = "mine/layouts-v0"
LENGTHS = [4, 1, 6, 3]
TERMINATED = [True, True, False, False]
FINALS = np.cumsum(LENGTHS) - 1


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "home"


def logged():
    """Four episodes of Pendulum's sizes, with every successor."""
    rng = np.random.default_rng(1)
    steps = sum(LENGTHS)
    observations = rng.normal(size=(steps, 3)).astype(np.float32)
    following = np.append(observations[1:], observations[:1], 0)
    following[FINALS] = rng.normal(size=(len(FINALS), 3))
    ends = np.isin(np.arange(steps), FINALS)
    terminations = ends.copy()
    terminations[ends] = TERMINATED
    return {
        "observations": observations,
        "actions": rng.uniform(-2, 2, (steps, 1)).astype(np.float32),
        "rewards": rng.normal(size=steps),
        "terminations": terminations,
        "truncations": ends & ~terminations,
        "next_observations": following,
    }


def saved(path, arrays):
    """An archive or a flat HDF5 file, by the suffix."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    return path


def imported(path, **options):
    done = import_file(path, ID, "Pendulum-v1", replace=True, **options)
    return done, datasets.find(ID, download=False).data


def refused(path, **options):
    with pytest.raises(ZooError) as error:
        import_file(path, ID, "Pendulum-v1", **options)
    text = str(error.value)
    assert "\n" not in text and text.isprintable() and len(text) <= 200, text
    for word in ("tuple", "synchronously", "signature", "allow_pickle", "NoneType", "h5py"):
        assert word not in text
    return text


def check(data, arrays, lengths=LENGTHS):
    """That the transitions are those of `arrays`, which has every successor."""
    assert data.lengths.tolist() == list(lengths)
    np.testing.assert_array_equal(data.observations[data.rows], arrays["observations"])
    np.testing.assert_array_equal(data.observations[data.rows + 1], arrays["next_observations"])
    np.testing.assert_allclose(data.actions, arrays["actions"] / 2, atol=1e-6)
    np.testing.assert_allclose(data.rewards, arrays["rewards"], rtol=1e-6)
    np.testing.assert_array_equal(data.terminations, arrays["terminations"])


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
@pytest.mark.parametrize(
    ("actions", "rewards", "observations", "following", "terminations", "truncations"),
    [
        ("acts", "rews", "obs", "next_obs", "terminated", "truncated"),
        ("action", "reward", "observation", "next_observation", "terminal", "timeout"),
        ("act", "rew", "state", "next_state", "is_terminal", "truncation"),
        ("actions", "rewards", "states", "obs_next", "terminals", "timeouts"),
    ],
)
def test_every_library_has_its_names(
    suffix, actions, rewards, observations, following, terminations, truncations, tmp_path
):
    arrays = logged()
    own = (observations, actions, rewards, terminations, truncations, following)
    names = dict(zip(arrays, own, strict=True))
    done, data = imported(saved(tmp_path / f"a{suffix}", {names[k]: a for k, a in arrays.items()}))
    check(data, arrays)
    assert done.log.seams == 0


def test_transitions_without_any_flag_are_cut_where_a_successor_is_not_the_next_row(tmp_path):
    arrays = logged()
    bare = {k: a for k, a in arrays.items() if k not in ("terminations", "truncations")}
    done, data = imported(saved(tmp_path / "a.hdf5", bare))
    assert done.log.seams == len(LENGTHS) - 1
    check(data, {**arrays, "terminations": np.zeros(sum(LENGTHS), bool)})
    terminals = {**bare, "terminals": arrays["terminations"][:, None].astype(np.uint8)}
    done, data = imported(saved(tmp_path / "b.hdf5", terminals))
    assert done.log.seams == 1
    check(data, arrays)
    del bare["next_observations"]
    assert "next_observations" in refused(saved(tmp_path / "c.hdf5", bare), replace=True)


def test_replay_buffers_done_includes_its_timeouts(tmp_path):
    arrays = logged()
    buffer = {
        "observations": arrays["observations"][:, None],
        "next_observations": arrays["next_observations"][:, None],
        "actions": arrays["actions"][:, None],
        "rewards": arrays["rewards"][:, None].astype(np.float32),
        "dones": (arrays["terminations"] | arrays["truncations"])[:, None].astype(np.float32),
        "timeouts": arrays["truncations"][:, None].astype(np.float32),
    }
    _, data = imported(saved(tmp_path / "sb3.npz", buffer))
    check(data, arrays)
    tianshou = {
        "obs": arrays["observations"],
        "obs_next": arrays["next_observations"],
        "act": arrays["actions"],
        "rew": arrays["rewards"],
        "terminated": arrays["terminations"],
        "truncated": arrays["truncations"],
        "done": arrays["terminations"] | arrays["truncations"],
    }
    _, data = imported(saved(tmp_path / "tianshou.hdf5", tianshou))
    check(data, arrays)
    parallel = {k: np.repeat(a, 2, 1) for k, a in buffer.items()}
    assert "parallel environments" in refused(saved(tmp_path / "two.npz", parallel), replace=True)


def test_the_unfilled_rest_of_a_replay_buffer_is_named(tmp_path):
    arrays = logged()
    full = saved(tmp_path / "full.npz", arrays)
    assert not any("zeros" in line for line in imported(full)[0].log.lines())
    rest = {
        n: np.concatenate([a, np.zeros((250, *a.shape[1:]), a.dtype)]) for n, a in arrays.items()
    }
    lines = imported(saved(tmp_path / "part.npz", rest))[0].log.lines()
    assert any("last 250 rows are zeros" in line for line in lines)


def test_imitations_trajectories_keep_their_final_observations(tmp_path):
    arrays = logged()
    parts = np.split(arrays["observations"], FINALS[:-1] + 1)
    finals = arrays["next_observations"][FINALS]
    archive = {
        "obs": np.concatenate([np.append(p, [f], 0) for p, f in zip(parts, finals, strict=True)]),
        "acts": arrays["actions"],
        "rews": arrays["rewards"],
        "terminal": np.array(TERMINATED),
        "indices": FINALS[:-1] + 1,
        "infos": np.array([{}] * sum(LENGTHS)),
    }
    np.savez_compressed(tmp_path / "final.npz", **archive)
    done, data = imported(tmp_path / "final.npz")
    check(data, arrays)
    assert (done.log.dropped, done.log.repeated, done.log.seams) == (0, 0, 0)
    assert "rewards" in refused(
        saved(tmp_path / "b.npz", {k: a for k, a in archive.items() if k != "rews"}), replace=True
    )
    cut = {**archive, "obs": archive["obs"][:-1]}
    assert "one obs more" in refused(saved(tmp_path / "c.npz", cut), replace=True)


def test_stable_baselines_expert_episodes_start_where_it_says(tmp_path):
    arrays = logged()
    starts = np.append(True, (arrays["terminations"] | arrays["truncations"])[:-1])
    expert = {
        "actions": arrays["actions"],
        "obs": arrays["observations"],
        "rewards": arrays["rewards"],
        "episode_starts": starts,
        "episode_returns": np.zeros(4),
    }
    done, data = imported(saved(tmp_path / "expert.npz", expert))
    # Three ends before the limit of 200 steps, and the file's own, of which nothing is known.
    assert data.lengths.tolist() == [4, 1, 6, 2]
    assert np.flatnonzero(data.terminations).tolist() == [3, 4, 10]
    assert (done.log.repeated, done.log.dropped) == (3, 1)


def robomimic(path, obs=("b_vel", "a_pos"), dones=True, **extra):
    """Demonstrations that sort otherwise by name than by number; mask has every second."""
    arrays = logged()
    numbers = [2, 10, 9, 0]
    order = np.argsort(numbers)
    with h5py.File(path, "w") as file:
        file.create_group("data").attrs["total"] = sum(LENGTHS)
        stops = FINALS + 1
        for n, part in enumerate(order):
            rows = slice(stops[n] - LENGTHS[n], stops[n])
            demo = file.create_group(f"data/demo_{numbers[part]}")
            for group, source in (("obs", "observations"), ("next_obs", "next_observations")):
                demo[f"{group}/{obs[0]}"] = arrays[source][rows, 2:]
                demo[f"{group}/{obs[1]}"] = arrays[source][rows, :2]
                for key, array in extra.items():
                    demo[f"{group}/{key}"] = array[rows]
            demo["actions"], demo["rewards"] = arrays["actions"][rows], arrays["rewards"][rows]
            demo["states"] = np.zeros((LENGTHS[n], 7))
            if dones:
                demo["dones"] = arrays["terminations"][rows].astype(np.int64)
        file["mask/train"] = np.array([b"demo_0", b"demo_10"])
    return arrays


def test_robomimics_demonstrations_come_in_the_order_of_their_numbers(tmp_path):
    arrays = robomimic(tmp_path / "low_dim.hdf5")
    done, data = imported(tmp_path / "low_dim.hdf5")
    assert done.log.layout == "robomimic"
    check(data, arrays)
    assert any("a_pos, b_vel" in line for line in done.log.lines())
    _, data = imported(tmp_path / "low_dim.hdf5", subset="train")
    assert data.lengths.tolist() == [LENGTHS[0], LENGTHS[3]]
    assert "train" in refused(tmp_path / "low_dim.hdf5", subset="valid", replace=True)
    arrays = robomimic(tmp_path / "open.hdf5", dones=False)
    _, data = imported(tmp_path / "open.hdf5")
    check(data, {**arrays, "terminations": np.zeros(sum(LENGTHS), bool)})


def test_robomimics_images_are_refused_by_their_name(tmp_path):
    robomimic(tmp_path / "image.hdf5", agentview_image=np.zeros((14, 8, 8, 3), np.uint8))
    text = refused(tmp_path / "image.hdf5")
    assert "agentview_image" in text and "8x8x3" in text


def test_groups_of_other_entries_are_not_joined(tmp_path):
    robomimic(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        file.move("data/demo_9/obs/a_pos", "data/demo_9/obs/c_pos")
    text = refused(tmp_path / "a.hdf5")
    assert "demo_9" in text and "c_pos" in text


def test_episodes_without_a_step_are_left_out(tmp_path):
    arrays = robomimic(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        file.copy("data/demo_9", "data/demo_5")
        for name in ("obs/a_pos", "obs/b_vel", "next_obs/a_pos", "next_obs/b_vel"):
            del file[f"data/demo_5/{name}"]
            file[f"data/demo_5/{name}"] = np.zeros((0, 2 if "pos" in name else 1))
        for name in ("actions", "rewards", "dones"):
            del file[f"data/demo_5/{name}"]
            file[f"data/demo_5/{name}"] = np.zeros((0, 1) if name == "actions" else 0)
    _, data = imported(tmp_path / "a.hdf5")
    check(data, arrays)
    empty = {name: array[:0] for name, array in logged().items()}
    assert "no transition" in refused(saved(tmp_path / "b.npz", empty), replace=True)
    empty["obs"] = empty["observations"]
    assert "no transition" in refused(saved(tmp_path / "c.npz", empty), replace=True)


def test_an_episode_of_another_size_is_named(tmp_path):
    robomimic(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        rows = len(file["data/demo_9/actions"])
        del file["data/demo_9/actions"]
        file["data/demo_9/actions"] = np.zeros((rows, 2))
    text = refused(tmp_path / "a.hdf5")
    assert "actions" in text and "2 in demo_9" in text
    arrays = {"num_episodes": 2, "columns": ["observations"], "version": "2.1"}
    for episode in range(2):
        arrays |= {
            f"observations_{episode}": np.zeros((3, 3 + episode)),
            f"actions_{episode}": np.zeros((3, 1)),
            f"rewards_{episode}": np.zeros((3, 1)),
            f"terminated_{episode}": True,
        }
    text = refused(saved(tmp_path / "b.hdf5", arrays))
    assert "observations" in text and "4 in episode 1" in text


def test_discrete_actions_are_no_vectors(tmp_path):
    arrays = logged()
    old = {name: arrays[name] for name in ("observations", "rewards")}
    old |= {"terminals": arrays["terminations"], "episode_terminals": arrays["terminations"]}
    old |= {"actions": np.zeros(14, int), "discrete_action": True, "version": "1.0"}
    assert "discrete" in refused(saved(tmp_path / "a.hdf5", old))


def test_a_group_of_observations_fills_a_dictionary_by_name(tmp_path):
    from zoo_leaderboard.datasets.importing.episodes import Episodes, Log
    from zoo_leaderboard.datasets.importing.observations import arranged

    arrays = logged()
    grouped = {k: a for k, a in arrays.items() if k != "next_observations"}
    flat = grouped.pop("observations")
    grouped |= {"observations/velocity": flat[:, :1], "observations/position": flat[:, 1:]}
    text = refused(saved(tmp_path / "grouped.hdf5", grouped))
    assert "observations is a group of position and velocity" in text
    box = {"velocity": spaces.Box(-9, 9, (1,)), "position": spaces.Box(-9, 9, (2,))}
    log = Log("d4rl", entries={"position": slice(0, 2), "velocity": slice(2, 3)})
    episodes = Episodes(flat, flat[:, :1], flat[:, 0], np.array([True]), np.array([13]))
    found = arranged(episodes, log, spaces.Dict(box))
    np.testing.assert_array_equal(found["velocity"][:, 0], flat[:, 2])
    np.testing.assert_array_equal(found["position"], flat[:, :2])
    with pytest.raises(ZooError, match="position and velocity"):
        arranged(episodes, log, spaces.Dict({"angle": box["velocity"]}))


@pytest.mark.parametrize("ours", ["observations", "actions", "rewards", "terminations"])
@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
def test_two_names_of_one_thing_agree_or_are_refused(ours, suffix, tmp_path):
    arrays = logged()
    other = SYNONYMS[ours][2]
    for first in (True, False):
        copy = {other: arrays[ours].astype(np.float32)}
        both = {**copy, **arrays} if first else {**arrays, **copy}
        _, data = imported(saved(tmp_path / f"same{suffix}", both))
        check(data, arrays)
        wrong = arrays[ours].copy()
        wrong[5] = 1 - wrong[5]
        copy = {other: wrong}
        both = {**copy, **arrays} if first else {**arrays, **copy}
        text = refused(saved(tmp_path / f"differ{suffix}", both), replace=True)
        assert ours in text and other in text and "row 5" in text


def test_dones_that_are_neither_terminations_nor_all_ends_are_refused(tmp_path):
    arrays = logged()
    for dones in (arrays["terminations"], arrays["terminations"] | arrays["truncations"]):
        _, data = imported(saved(tmp_path / "a.npz", {"dones": dones, **arrays}))
        check(data, arrays)
    text = refused(saved(tmp_path / "a.npz", {"dones": ~dones, **arrays}), replace=True)
    assert "dones" in text and "terminations" in text


def test_not_done_is_the_contrary(tmp_path):
    arrays = logged()
    flags = {**arrays, "not_done": 1.0 - arrays["terminations"][:, None]}
    del flags["terminations"]
    _, data = imported(saved(tmp_path / "td3.npz", flags))
    check(data, arrays)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e-9, 1e12])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_rows_are_equal_to_a_rounded_copy_and_to_no_other(kind, unit, offset):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2)) + offset
    rows[:, 1] *= unit
    if kind == np.float16:
        rows[:, 1] = np.clip(rows[:, 1], -6e4, 6e4)
    rounded = rows.astype(kind)
    assert equal_rows(rows, rounded).all() and equal_rows(rounded.astype(np.float64), rows).all()
    if kind == np.float16:
        return
    for column in (0, 1):
        other = rounded.copy()
        other[7, column] += 1e-4 * np.abs(rows[:, column]).max()
        assert np.flatnonzero(~equal_rows(rows, other)).tolist() == [7]


def test_arithmetic_in_float32_does_not_separate_rows_and_nan_equals_nan():
    rows = np.random.default_rng(0).normal(3.0, 2.0, (1000, 3)).astype(np.float32)
    again = (rows - rows.mean(0)) / rows.std(0) * rows.std(0) + rows.mean(0)
    assert (again != rows).any() and equal_rows(rows, again).all()
    rows[3, 1] = np.nan
    assert equal_rows(rows, rows.astype(np.float64)).all()
    counts = np.arange(50.0)[:, None]
    assert not equal_rows(counts, counts + (counts == 40)).all()


def test_whole_numbers_beside_finer_ones_are_not_taken_for_rounded():
    counts = np.arange(2049.0)[:, None]
    following = counts.copy()
    following[-1] += 0.001
    following[5] += 2.0
    assert np.flatnonzero(~equal_rows(counts, following)).tolist() == [5, 2048]


def zipped(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")


def torch_file(path, legacy):
    buffer = io.BytesIO()
    torch.save({"actor": torch.zeros(2)}, buffer, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(buffer.getvalue())


def grouped(path, *names):
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = np.zeros(3)


def attributes(path, **values):
    with h5py.File(path, "w") as file:
        file.attrs.update(values)


FOREIGN = {
    "a pickle": lambda p: p.write_bytes(pickle.dumps({"observations": [1]})),
    "pickle": lambda p: p.write_bytes(pickle.dumps([1, 2], protocol=0)),
    "PyTorch checkpoint": lambda p: torch_file(p, legacy=False),
    "a PyTorch checkpoint": lambda p: torch_file(p, legacy=True),
    "stable-baselines3": lambda p: zipped(p, "data", "policy.pth", "pytorch_variables.pth"),
    "one numpy array [4, 3]": lambda p: np.save(p.open("wb"), np.zeros((4, 3))),
    "JSON": lambda p: p.write_text(json.dumps({"observations": [1]})),
    "CSV": lambda p: p.write_text("obs,action\n1,2\n"),
    "Parquet": lambda p: p.write_bytes(b"PAR1" + bytes(50)),
    "gzip": lambda p: p.write_bytes(gzip.compress(b"x" * 99)),
    "empty (0 bytes)": lambda p: p.write_bytes(b""),
    "Git LFS": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "web page": lambda p: p.write_text("<!DOCTYPE html><html></html>"),
    "a zip archive of": lambda p: zipped(p, *(f"episode_{i}.csv" for i in range(900))),
    "Python objects": lambda p: np.save(p.open("wb"), {"observations": [1]}, allow_pickle=True),
    "a zip archive without files": lambda p: zipped(p),
    "data, which is Python objects": lambda p: np.savez(p.open("wb"), data={"observations": [1]}),
    "a group dataset of actions and obs": lambda p: grouped(p, "dataset/obs", "dataset/actions"),
    "attributes alone (rewards)": lambda p: attributes(p, rewards=[1.0, 2.0]),
    "folder": lambda p: p.mkdir(),
    "damaged or cut short": lambda p: p.write_bytes(b"PK\x03\x04" + bytes(90)),
    "neither HDF5 nor a numpy archive": lambda p: p.write_bytes(bytes(range(128, 256)) * 9),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_is_named_for_what_it_is_whatever_its_name(kind, home, tmp_path):
    path = tmp_path / "buffer.hdf5"
    FOREIGN[kind](path)
    assert kind in refused(path)
    assert not (home / "datasets").exists()


def test_a_name_in_a_message_is_short_and_printable(tmp_path):
    with h5py.File(tmp_path / f"{'x' * 200}\x1b[31m.hdf5", "w") as file:
        for i in range(300):
            file[f"episode{i}\x1b[2J{'y' * 60}"] = i
    assert "298 more" in refused(next(tmp_path.glob("*.hdf5")))
    with h5py.File(tmp_path / "main_data.hdf5", "w") as file:
        for i in range(300):
            file.create_group(f"episode_{i}")
    assert "Minari" in refused(tmp_path / "main_data.hdf5")


@pytest.mark.parametrize(
    ("name", "value", "fact"),
    [
        ("observations", np.array([{}] * 14), "Python objects"),
        ("actions", np.array(["left"] * 14), "text"),
        ("rewards", np.zeros((14, 2)), "14x2"),
        ("terminations", np.full(14, 0.5), "0.5"),
        ("truncations", np.arange(14), "row 2 has 2"),
        ("observations", np.zeros((14, 64, 64, 3)), "14x64x64x3"),
        ("actions", np.array(3.0), "one value"),
        ("rewards", np.zeros(13), "13"),
    ],
)
def test_an_array_that_is_no_log_is_named(name, value, fact, tmp_path):
    text = refused(saved(tmp_path / "a.npz", {**logged(), name: value}))
    assert fact in text and name[:6] in text


def test_text_in_hdf5_is_named(tmp_path):
    flags = {**logged(), "terminations": ["False"] * 13 + ["True"]}
    assert "terminations are text" in refused(saved(tmp_path / "a.hdf5", flags))


def test_damage_inside_an_archive_or_a_file_is_a_line(tmp_path):
    path = saved(tmp_path / "a.npz", logged())
    content, messages = bytearray(path.read_bytes()), []
    for at in range(40, len(content) - 40, 97):
        broken = content.copy()
        broken[at : at + 8] = b"\xff" * 8
        path.write_bytes(broken)
        try:
            import_file(path, ID, "Pendulum-v1", replace=True)
        except ZooError as error:
            messages.append(str(error))
    assert messages and all("\n" not in text and len(text) <= 200 for text in messages)
    saved(tmp_path / "b.hdf5", {k: a for k, a in logged().items() if k != "rewards"})
    with h5py.File(tmp_path / "b.hdf5", "a") as file:
        file["rewards"] = h5py.ExternalLink("nowhere.hdf5", "rewards")
    assert "rewards" in refused(tmp_path / "b.hdf5", replace=True)
    unnamed = {"arr_0": np.zeros(3), "arr_1": np.zeros(3)}
    text = refused(saved(tmp_path / "c.npz", unnamed), replace=True)
    assert "arr_0 and arr_1" in text


def test_an_archive_may_hold_other_files_too(tmp_path):
    path = saved(tmp_path / "a.npz", logged())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", "logged in May")
    done, data = imported(path)
    check(data, logged())
    assert any("README.txt" in line for line in done.log.lines())


def ended(lengths, terminated):
    """An archive without successors whose episodes end by `terminals` or go on into the next."""
    rng = np.random.default_rng(0)
    steps, stops = sum(lengths), np.cumsum(lengths) - 1
    flags = np.zeros(steps, bool)
    flags[stops] = terminated
    return {
        "observations": rng.normal(size=(steps, 3)),
        "actions": rng.uniform(-1, 1, (steps, 1)),
        "rewards": np.zeros(steps),
        "terminals": flags,
    }


@pytest.mark.parametrize(
    ("lengths", "suspected", "limit"),
    [
        ([200, 200, 200], True, 200),
        ([200, 50, 200, 13], True, 200),
        ([200], True, 200),
        ([150, 50, 13], False, 200),
        ([200, 300], False, 200),
        ([7, 7, 7], True, 7),
        ([7, 7, 6], False, 200),
    ],
)
def test_terminals_at_the_time_limit_are_suspected_to_be_done(lengths, suspected, limit, tmp_path):
    path = saved(tmp_path / "old.npz", ended(lengths, True))
    done, data = imported(path)
    lines = [line for line in done.log.lines() if "--terminals-are done" in line]
    assert len(lines) == suspected and all(f" {limit} steps" in line for line in lines)
    assert int(data.terminations.sum()) == len(lengths)
    done, data = imported(path, terminals="terminations")
    assert not any("--terminals-are" in line for line in done.log.lines())
    _, data = imported(path, terminals="done")
    assert int(data.terminations.sum()) == sum(length < limit for length in lengths)
    assert int(data.truncations.sum()) == sum(length >= limit for length in lengths)


def test_episodes_that_end_at_seams_have_their_own_lengths(tmp_path):
    """As `qlearning_dataset` gives: cut episodes lack their last transition and any flag."""
    lengths = [199, 199, 60, 199]
    arrays = ended(lengths, [False, False, True, False])
    following = np.append(arrays["observations"][1:], arrays["observations"][:1], 0)
    following[np.cumsum(lengths) - 1] += 1.0
    path = saved(tmp_path / "q.npz", {**arrays, "next_observations": following})
    done, data = imported(path)
    assert done.log.lines() == ["2 " + done.log.lines()[0][2:]]
    for terminals in (None, "done"):
        _, data = imported(path, terminals=terminals)
        assert data.lengths.tolist() == lengths
        assert np.flatnonzero(data.terminations).tolist() == [457]


def test_without_a_known_limit_the_most_common_length_counts():
    from zoo_leaderboard.datasets.importing.done_flags import suspicion, without_time_limits
    from zoo_leaderboard.datasets.importing.rows import rows_of

    def rows(lengths):
        arrays = ended(lengths, True)
        return rows_of({k.replace("terminals", "terminations"): (k, a) for k, a in arrays.items()})

    assert "30" in (suspicion(rows([30, 30, 4, 30]), None, "terminals") or "")
    for lengths in ([1, 1, 1, 1], [4, 9, 30], [9, 9, 30]):
        assert suspicion(rows(lengths), None, "terminals") is None
    mended = without_time_limits(rows([30, 30, 4, 30]), None)
    assert np.flatnonzero(mended.terminations).tolist() == [63]
    np.testing.assert_array_equal(mended.ends, rows([30, 30, 4, 30]).ends)


def test_terminals_that_hold_every_timeout_are_suspected_too(tmp_path):
    arrays = logged()
    arrays["terminals"] = arrays.pop("terminations") | arrays["truncations"]
    path = saved(tmp_path / "a.npz", arrays)
    done, data = imported(path)
    assert any("--terminals-are done" in line for line in done.log.lines())
    _, data = imported(path, terminals="done")
    check(data, logged())


def test_the_command_names_the_option_and_takes_it(tmp_path, capsys):
    path = saved(tmp_path / "old.npz", {**ended([200, 200], True), "qpos": np.zeros(400)})
    common = ["datasets", "import", str(path), "--id", ID, "--environment", "Pendulum-v1"]
    for options, suspected in (([], True), (["--replace", "--terminals-are", "done"], False)):
        with pytest.raises(SystemExit) as stopped:
            main([*common, *options])
        output = capsys.readouterr()
        assert not stopped.value.code, output.err
        assert ("--terminals-are done" in output.out) == suspected
        assert "qpos" in output.out
        assert ("2 ends at the time limit" in output.out) != suspected


@pytest.mark.parametrize("option", ["terminals", "layout"])
def test_an_unknown_meaning_or_layout_is_named(option, tmp_path):
    saved(tmp_path / "log.npz", logged())
    with pytest.raises(ZooError, match="'dnoe'"):
        import_file(tmp_path / "log.npz", "mine/log-v0", **{option: "dnoe"})
