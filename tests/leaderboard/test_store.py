import json
import os
import stat

import pytest
from synthetic import synthetic
from worlds import python

from zoo_core import ZooError
from zoo_leaderboard.result import Cell, Ingredients, Measured, Protocol, Result
from zoo_leaderboard.store import Damaged, Store, read, write_atomically


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def test_a_result_comes_back_as_it_was(store):
    result = synthetic("bc", "0.5*a/b-v0+c-v1", 3, settings={"critic.hidden": 64})
    path = store.put(result)
    assert store.get(result.cell, result.key) == result
    assert store.load() == ([result], [])
    assert store.get(result.cell, "0" * 32) is None
    assert path.is_relative_to(store.root / "results" / "bc")
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044


def test_a_record_from_before_there_were_metrics_still_loads(store):
    measured = Measured(step=100, stage="train", steps=100, metrics={"a/nll": 0.5})
    result = synthetic("bc", "a-v0", 0, training=(measured,))
    path = store.put(result)
    assert store.get(result.cell, result.key).last_metrics == (measured,)
    content = json.loads(path.read_text())
    del content["training"]
    path.write_text(json.dumps(content))
    assert store.get(result.cell, result.key) == result.model_copy(update={"training": ()})


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"schema_version": 1}', b"\xff\xfe", b"[]", b"null"]
)
def test_a_damaged_file_is_named_and_the_rest_still_loads(store, content):
    good, bad = synthetic("bc", "a-v0", 0), synthetic("bc", "a-v0", 1)
    store.put(good)
    path = store.put(bad)
    path.write_bytes(content)
    results, damaged = store.load()
    assert results == [good]
    assert [d.place for d in damaged] == [str(path)]
    assert str(path) in str(damaged[0])
    assert "\n" not in str(damaged[0])
    assert damaged[0].cell == Cell(algorithm="bc", dataset="a-v0", seed=1)
    assert path.read_bytes() == content


def test_a_truncated_file_is_damaged_at_every_length(store):
    result = synthetic("bc", "a-v0", 0)
    path = store.put(result)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        assert isinstance(store.get(result.cell, result.key), Damaged)


def test_a_record_in_the_wrong_place_or_of_a_newer_schema_is_damaged(store):
    one, two = synthetic("bc", "a-v0", 0), synthetic("bc", "a-v0", 1)
    path = store.put(one)
    path.write_text(two.model_dump_json())
    assert "another run's record" in read(path).reason
    path.write_text(one.model_copy(update={"schema_version": 99}).model_dump_json())
    assert "schema 99" in read(path).reason


def test_a_damaged_file_is_moved_aside_and_never_overwritten(store):
    result = synthetic("bc", "a-v0", 0)
    path = store.put(result)
    for content in ("first", "second"):
        path.write_text(content)
        store.put(result)
    assert isinstance(store.get(result.cell, result.key), Result)
    kept = sorted(p.read_text() for p in path.parent.glob("*.damaged*"))
    assert kept == ["first", "second"]
    assert store.load() == ([result], [])


def test_not_a_number_is_no_result():
    with pytest.raises(ValueError, match="finite"):
        synthetic("bc", "a-v0", 0, scores=(0.0, float("nan")))


@pytest.mark.parametrize("name", ["../../etc", "a/../b-v0", "/abs-v0", "..", "a\nb-v0"])
def test_no_dataset_name_leaves_the_store(store, name):
    path = store.path(Cell(algorithm=name, dataset=name, seed=0), "0" * 32)
    assert path.resolve().is_relative_to((store.root / "results").resolve())


def test_writing_is_atomic_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ZooError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_or_missing_store_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="cannot write to the store"):
        Store(tmp_path / "file" / "runs").check_writable()
    with pytest.raises(ZooError, match="no store at"):
        Store(tmp_path / "nothing").load()


def test_the_variable_names_the_default_store(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_RUNS", str(tmp_path))
    assert Store().root == tmp_path
    monkeypatch.delenv("ZOO_RUNS")
    assert str(Store().root) == "runs"


def test_the_plan_keeps_the_newest_key_of_a_cell(store):
    one, two = Cell(algorithm="a", dataset="d", seed=0), Cell(algorithm="a", dataset="d", seed=1)
    store.remember("demo", {one: "1", two: "2"})
    store.remember("demo", {one: "3"})
    assert store.planned("demo") == {two: "2", one: "3"}
    assert store.planned("other") == {}


def test_a_lock_holds_against_others_and_dies_with_its_process(store, tmp_path):
    with store.lock("key") as mine:
        assert mine
        with store.lock("key") as second:
            assert not second
        store.clear("key")
    code = (
        "import os, signal, sys\n"
        "from zoo_leaderboard.store import Store\n"
        "with Store(sys.argv[1]).lock('key') as mine:\n"
        "    assert mine\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert python(code, store.root, cwd=tmp_path).returncode == -9
    with store.lock("key") as mine:
        assert mine


def test_what_changed_is_said_in_words():
    def made(**changes):
        fields = {
            "sources": {"plugin": "1"},
            "semantics": 1,
            "config": {"steps": 5, "lr": 0.1},
            "dataset": "d",
            "dataset_digest": "x",
            "environment": "e",
            "protocol": Protocol(),
            "seed": 0,
        }
        return Ingredients(**{**fields, **changes})

    assert made().differences(made()) == []
    assert made().differences(made(sources={"plugin": "2", "part": "1"})) == [
        "code of part, plugin"
    ]
    assert made().differences(made(config={"steps": 6, "lr": 0.1})) == ["steps 5 -> 6"]
    assert made().differences(made(dataset_digest="y")) == ["dataset digest"]
    assert made().differences(made(protocol=Protocol(episodes=3))) == ["evaluation protocol"]
    assert made().differences(made(semantics=2)) == ["core semantics 1 -> 2"]
