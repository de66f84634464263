"""Foreign files in a store: each is reported in one line, and sound records still load."""

import os
import stat

import pytest
from synthetic import synthetic

from zoo_core import ZooError
from zoo_leaderboard.board.index import summaries
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.planning import Job
from zoo_leaderboard.policies.training import default_folder
from zoo_leaderboard.result import Cell
from zoo_leaderboard.store import Damaged, Store, Unreadable
from zoo_leaderboard.store import store as store_module
from zoo_leaderboard.track import Track

TRACK = Track(name="demo", summary="made up", datasets=["a-v0"])
SOUND = synthetic("bc", "a-v0", 0)
OTHER = synthetic("bc", "a-v0", 1)


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "runs")
    found.put(SOUND)
    return found


def place_of(store):
    """The path of the other record."""
    path = store.path(OTHER.cell, OTHER.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def link_to_nothing(path):
    path.symlink_to(path.parent / "nothing")


def link_to_itself(path):
    path.symlink_to(path)


def folder(path):
    path.mkdir()
    (path / "inside").write_text("something")


def device(path):
    path.symlink_to("/dev/zero")


def pipe(path):
    os.mkfifo(path)


def other_key(path):
    path.write_text(SOUND.model_dump_json())


def huge(path):
    with path.open("wb") as file:
        file.truncate(store_module.LARGEST_RECORD + 1)


def nested(path):
    path.write_text('{"cell": ' + "[" * 100_000)


def latin(path):
    path.write_bytes(OTHER.model_dump_json().encode().replace(b'"bc"', b'"b\xe9"'))


IN_PLACE = [link_to_nothing, link_to_itself, device, pipe, other_key, huge, nested, latin]


@pytest.mark.parametrize("make", IN_PLACE)
def test_what_lies_in_a_record_s_place_is_reported_and_moved_aside_by_a_result(store, make):
    path = place_of(store)
    make(path)
    results, (problem,) = store.load()
    assert results == [SOUND]
    assert not isinstance(problem, Unreadable)
    assert problem.cell == OTHER.cell
    assert str(problem).isprintable()
    assert [run.key for run in summaries(store)[0]] == [SOUND.key]
    board = load(store, TRACK, check=False)
    assert board.row("bc").entry("a-v0").damaged == {1: str(problem)}
    board.table()
    assert isinstance(store.get(OTHER.cell, OTHER.key), Damaged)
    store.put(OTHER)
    assert store.get(OTHER.cell, OTHER.key) == OTHER
    assert os.path.lexists(path.with_name(path.name + ".damaged"))
    assert store.load() == ([SOUND, OTHER], [])


def test_a_folder_in_a_record_s_place_is_moved_aside(store):
    for _ in range(2):
        path = place_of(store)
        folder(path)
        assert isinstance(store.get(OTHER.cell, OTHER.key), Damaged)
        assert store.load()[0] == [SOUND]
        store.put(OTHER)
        assert store.get(OTHER.cell, OTHER.key) == OTHER
        path.unlink()
    kept = sorted(p.name for p in path.parent.glob("*.damaged*"))
    assert kept == [f"{path.name}.damaged", f"{path.name}.damaged-2"]


def test_links_that_lead_back_are_not_followed_for_ever(store):
    results = store.root / "results"
    (results / "up").symlink_to(results)
    (results / "bc" / "self").symlink_to(results / "bc" / "self")
    # Two folders that lead to each other, one of them outside.
    outside = store.root.parent / "outside"
    outside.mkdir()
    (outside / "back").symlink_to(results / "bc")
    (results / "bc" / "out").symlink_to(outside)
    names = [file.name for file in store.listing()]
    assert store.name(SOUND.cell, SOUND.key) in names
    assert len(names) < 5
    assert [run.key for run in load(store, TRACK, check=False).runs] == [SOUND.key]


def test_a_link_to_a_folder_elsewhere_is_followed(store, tmp_path):
    elsewhere = Store(tmp_path / "elsewhere")
    moved = synthetic("moved", "a-v0", 0)
    elsewhere.put(moved)
    (store.root / "results" / "moved").symlink_to(elsewhere.root / "results" / "moved")
    assert store.load() == ([SOUND, moved], [])


def test_a_folder_that_cannot_be_listed_is_reported(store, monkeypatch):
    closed = store.root / "results" / "closed"
    closed.mkdir()
    scandir = os.scandir

    def denied(folder):
        if str(folder) == str(closed):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", denied)
    results, (problem,) = store.load()
    assert results == [SOUND]
    assert isinstance(problem, Unreadable)
    assert problem.place == str(closed)
    assert "Permission denied" in load(store, TRACK, check=False).table()


def test_what_cannot_be_read_now_is_never_replaced(store, monkeypatch):
    store.put(OTHER)
    path = place_of(store)
    content = path.read_bytes()
    read = store.files.read

    def failing(name):
        if name.endswith(path.name):
            raise ZooError("Permission denied")
        return read(name)

    monkeypatch.setattr(store.files, "read", failing)
    assert isinstance(store.get(OTHER.cell, OTHER.key), Unreadable)
    with pytest.raises(ZooError, match="Permission denied"):
        store.put(synthetic("bc", "a-v0", 1, (0.0, 99.0)))
    assert path.read_bytes() == content
    assert not list(path.parent.glob("*.damaged"))


@pytest.mark.parametrize("name", [b"\xff\xfe.json", b"a\nb.json", b"\x1b[2J.json", b".json", b"x"])
def test_odd_file_names_are_lines(store, name):
    path = os.fsencode(store.root / "results" / "bc") + b"/" + name
    with open(path, "wb") as file:
        file.write(b"{")
    results, problems = store.load()
    assert results == [SOUND]
    assert all(str(problem).isprintable() for problem in problems)
    assert len(summaries(store)[0]) == 1
    load(store, TRACK, check=False).table()


@pytest.mark.parametrize("seed", ["9" * 30, "-1", "1_0", "\u0663"])
def test_a_damaged_file_of_no_possible_seed_is_a_line(store, seed):
    path = place_of(store).with_name(f"default.seed{seed}.{'0' * 32}.json")
    path.write_text("{")
    assert len(store.load()[1]) == 1


def test_an_empty_store_has_nothing(tmp_path):
    (tmp_path / "runs" / "results").mkdir(parents=True)
    assert Store(tmp_path / "runs").load() == ([], [])
    assert load(tmp_path / "runs", TRACK).rows == []


LONG = [
    "+".join(f"0.{i:03}*own/{'x' * 40}-v{i}" for i in range(40)),
    "own/" + "y" * 300 + "-v0",
    "/".join(["deep"] * 300) + "-v0",
    "\u00e9" * 100 + "-v0",
]


@pytest.mark.parametrize("dataset", LONG)
def test_a_long_name_has_a_place(store, dataset):
    made = [synthetic("bc", dataset, seed) for seed in range(2)]
    made.append(synthetic("bc", dataset + "0", 0))
    names = {store.name(result.cell, result.key) for result in made}
    assert len({name.rpartition("/")[0] for name in names}) == 2
    for result in made:
        assert store.put(result).is_relative_to(store.root / "results" / "bc")
        assert store.get(result.cell, result.key) == result
    assert len(store.load()[0]) == 4
    store.put(made[0]).write_text("{")
    store.remember("demo", {made[0].cell: made[0].key})
    entry = load(store, TRACK, check=False).row("bc").entry(dataset)
    assert set(entry.damaged) == {0}


def test_a_long_algorithm_s_name_has_a_place(store):
    result = synthetic("z" * 400, "a-v0", 0)
    assert stat.S_ISREG(store.put(result).stat().st_mode)
    assert store.get(result.cell, result.key) == result


@pytest.mark.parametrize("dataset", LONG)
def test_a_single_run_s_folder_has_a_name_that_fits(tmp_path, monkeypatch, dataset):
    monkeypatch.setenv("ZOO_RUNS", str(tmp_path))
    made = [synthetic("bc", dataset + end, 0) for end in ("", "0")]
    folders = {default_folder(Job.model_construct(cell=r.cell, key=r.key)) for r in made}
    assert len(folders) == 2
    for folder in folders:
        folder.mkdir(parents=True)


def test_a_place_that_fits_is_named_as_ever(store):
    cell = Cell(algorithm="td3_bc", dataset="0.5*a/b-v0+c-v1", seed=3)
    assert store.name(cell, "k") == "results/td3_bc/0.5%2Aa/b-v0+c-v1/default.seed3.k.json"


def test_a_result_that_finds_no_place_is_an_error_and_no_silence(store, monkeypatch):
    monkeypatch.setattr(store.files, "create", lambda name, content: False)
    with pytest.raises(ZooError, match="cannot write"):
        store.put(OTHER)
