import os
import sqlite3

import pytest
from synthetic import synthetic

from zoo_core import ZooError
from zoo_leaderboard.board import index
from zoo_leaderboard.board.index import location, summaries
from zoo_leaderboard.board.summary import RunSummary, summarise
from zoo_leaderboard.result import Measured
from zoo_leaderboard.store import Store


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
