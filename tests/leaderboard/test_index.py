import os
import sqlite3

import pytest
from synthetic import synthetic

from zoo_core import ZooError
from zoo_leaderboard.board import index
from zoo_leaderboard.board.index import location, summaries
from zoo_leaderboard.board.summary import RunSummary, summarise
from zoo_leaderboard.result import Measured
from zoo_leaderboard.store import Store, Unreadable


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "runs")
    measured = Measured(step=100, stage="train", steps=10, metrics={"critic/td": 0.5})
    for seed in range(3):
        found.put(synthetic("x", "a/b-v0", seed, (0.0, 7.0, 5.0), training=(measured,)))
    found.put(synthetic("x", "a/b-v0", 3, failure="ValueError: no"))
    found.put(synthetic("y", "c-v0", 0, settings={"steps": 5}, external=True, reference=None))
    return found


@pytest.fixture
def reads(monkeypatch):
    """The names of the records that were read."""
    names = []
    original = Store.read_all

    def read_all(self, wanted):
        for name, found in original(self, wanted):
            names.append(name)
            yield name, found

    monkeypatch.setattr(Store, "read_all", read_all)
    return names


def test_a_summary_comes_back_from_the_index_as_it_went_in(store):
    found, damaged = summaries(store)
    assert damaged == []
    assert found == [summarise(store.read(run.name), run.name) for run in found]
    assert found == summaries(store)[0]
    first = next(run for run in found if run.cell.algorithm == "x" and run.seed == 0)
    assert (first.score, first.last, first.best, first.episode_return) == (5.0, 6.0, 7.0, 10.0)
    assert first.curve == ((0, 0.0), (50, 7.0), (100, 5.0))
    assert first.metrics == {"train": {"critic/td": 0.5}}
    assert first.acts == {"act": 5.0}


def test_conditions_tell_all_but_the_seed(store):
    found, _ = summaries(store)
    of_x = {run.conditions for run in found if run.cell.algorithm == "x"}
    assert len(of_x) == 1
    other = summarise(synthetic("x", "a/b-v0", 0, sources={"plugin": "1"}))
    assert other.conditions not in of_x


def test_only_what_changed_is_read_again(store, reads):
    summaries(store)
    assert len(reads) == 5
    reads.clear()
    summaries(store)
    assert reads == []
    better = synthetic("x", "a/b-v0", 0, (0.0, 9.0))
    store.path(better.cell, better.key).unlink()
    path = store.put(better)
    os.utime(path, ns=(1, 1))
    gone = store.put(synthetic("x", "a/b-v0", 1))
    gone.unlink()
    found, _ = summaries(store)
    assert len(reads) == 1
    assert len(found) == 4
    assert 9.0 in {run.score for run in found}


def test_damaged_files_are_told_and_read_again_when_mended(store):
    path = store.put(synthetic("z", "a-v0", 0))
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    found, (damaged,) = summaries(store)
    assert len(found) == 5
    assert damaged.cell.algorithm == "z"
    assert damaged.place == str(path)
    path.write_bytes(whole)
    assert len(summaries(store)[0]) == 6


def test_an_index_that_is_no_database_or_of_another_version_is_made_anew(store, reads):
    summaries(store)
    expected, _ = summaries(store)
    location(store).write_bytes(b"not a database" * 1000)
    assert summaries(store)[0] == expected
    database = sqlite3.connect(location(store))
    database.execute("PRAGMA user_version = 999")
    database.commit()
    database.close()
    reads.clear()
    assert summaries(store)[0] == expected
    assert len(reads) == 5


def failing_once(store, monkeypatch, name, error):
    """The first reading of a record raises."""
    original, failed = store.files.read_all, []

    def read_all(names):
        for found, content in original(names):
            first = found == name and not failed
            failed.extend([found] if first else [])
            yield found, (error if first else content)

    monkeypatch.setattr(store.files, "read_all", read_all)


@pytest.mark.parametrize(
    "error",
    [
        ZooError("503 Service Unavailable"),
        TimeoutError("timed out"),
        PermissionError(13, "Permission denied"),
        OSError(5, "Input/output error"),
        OSError(116, "Stale file handle"),
    ],
)
def test_a_record_that_could_not_be_read_once_is_read_again(store, monkeypatch, error):
    name = store.listing()[0].name
    failing_once(store, monkeypatch, name, error)
    found, (problem,) = summaries(store)
    assert len(found) == 4
    assert isinstance(problem, Unreadable)
    assert problem.place == store.files.full(name)
    found, problems = summaries(store)
    assert (len(found), problems) == (5, [])


def test_a_record_that_goes_while_it_is_read_is_not_there(store, monkeypatch):
    name = store.listing()[0].name
    failing_once(store, monkeypatch, name, FileNotFoundError(2, "No such file"))
    found, problems = summaries(store)
    assert (len(found), problems) == (4, [])


def test_a_record_of_a_newer_schema_is_read_by_the_version_that_knows_it(store, monkeypatch):
    path = store.put(synthetic("z", "a-v0", 0))
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    found, (problem,) = summaries(store)
    assert len(found) == 5
    assert "schema 2" in problem.reason
    monkeypatch.setattr("zoo_leaderboard.store.records.SCHEMA", 2)
    found, problems = summaries(store)
    assert (len(found), problems) == (6, [])


def spoiled(store, change):
    """The index's file with its content changed."""
    path = location(store)
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def middle(content):
    content[len(content) // 3 :] = bytes(len(content) - len(content) // 3)


def schema(content):
    content[100:900] = b"\xff" * 800


def row(statement):
    def change(store):
        database = sqlite3.connect(location(store))
        database.execute(statement)
        database.commit()
        database.close()

    return change


DAMAGE = {
    "middle": lambda store: spoiled(store, middle),
    "schema": lambda store: spoiled(store, schema),
    "empty": lambda store: location(store).write_bytes(b""),
    "one byte": lambda store: location(store).write_bytes(b"S"),
    "half": lambda store: os.truncate(location(store), location(store).stat().st_size // 2),
    "place": row("UPDATE runs SET place = '{'"),
    "score": row("UPDATE runs SET episode_return = 'many' WHERE seed = 1"),
    "null": row("UPDATE runs SET key = NULL"),
    "details": row("UPDATE runs SET details_json = '[1]' WHERE seed = 2"),
    "table": row("DROP TABLE runs"),
    "columns": row("ALTER TABLE runs DROP COLUMN act"),
    "text": row("UPDATE runs SET act = CAST(x'ff' AS TEXT)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_built_again(store, damage, reads):
    expected = summaries(store)
    DAMAGE[damage](store)
    assert summaries(store) == expected
    reads.clear()
    assert summaries(store) == expected
    assert reads == []


def test_a_folder_in_the_place_of_the_index_is_left_alone(store):
    location(store).mkdir(parents=True)
    assert len(summaries(store)[0]) == 5
    assert location(store).is_dir()


def test_an_index_on_a_full_or_read_only_disk_lives_in_memory(store, monkeypatch):
    expected = summaries(store)
    before = location(store).read_bytes()

    class Full(sqlite3.Connection):
        def commit(self):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    connect = sqlite3.connect

    def full(place, **options):
        options |= {} if place == ":memory:" else {"factory": Full}
        return connect(place, **options)

    monkeypatch.setattr(sqlite3, "connect", full)
    store.put(synthetic("z", "a-v0", 0))
    assert len(summaries(store)[0]) == len(expected[0]) + 1
    assert location(store).read_bytes() == before


def test_a_locked_index_is_left_alone(store, monkeypatch):
    expected, _ = summaries(store)
    database = sqlite3.connect(location(store))
    database.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(index, "WAIT_SECONDS", 0.1)
    assert summaries(store)[0] == expected
    database.rollback()
    assert database.execute("SELECT count(*) FROM runs").fetchone() == (5,)


def test_an_index_that_cannot_be_written_lives_in_memory(store, tmp_path):
    (tmp_path / "cache-home").write_text("a file where the folder should be")
    assert len(summaries(store)[0]) == 5


def test_there_must_be_a_store(tmp_path):
    with pytest.raises(ZooError, match="no store at"):
        summaries(Store(tmp_path / "none"))


def test_every_field_of_a_summary_is_in_the_index():
    kept = {*index._COLUMNS, "cell"}
    assert set(RunSummary.__dataclass_fields__) <= kept
