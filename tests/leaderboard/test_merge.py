"""Merging stores: nothing is lost, nothing is overwritten, and what differs is told."""

import re
import uuid

import pytest
from synthetic import synthetic

from zoo_core import ZooError
from zoo_core.cli import main
from zoo_leaderboard.fingerprint import digest
from zoo_leaderboard.result import Cell, Failure, Result
from zoo_leaderboard.store import Store, agent_name
from zoo_leaderboard.store.merge import merge


def made(algorithm, seed, scores=(0.0, 50.0), **changes) -> Result:
    """A record whose key is the hash of its ingredients, as a run's is."""
    result = synthetic(algorithm, "a/b-v0", seed, scores)
    # Rows of the same settings would have the same key: their code differs.
    ingredients = result.ingredients.model_copy(update={"sources": {algorithm: "0"}})
    key = digest(ingredients.model_dump(mode="json"))
    return result.model_copy(update={"ingredients": ingredients, "key": key, **changes})


def as_failed(result, reason="killed"):
    failure = Failure(kind="killed", reason=reason)
    return result.model_copy(update={"status": "failed", "score": None, "failure": failure})


def put(store, result, policy=b"policy"):
    store.put(result)
    if result.failure is None:
        store.files.write(agent_name(store.name(result.cell, result.key)), policy)


def contents(store):
    """Records and policies."""
    return {f.name: store.files.read(f.name) for f in store.files.list("results")}


@pytest.fixture
def one(tmp_path):
    return Store(tmp_path / "one")


@pytest.fixture(params=["folder", "s3", "memory"])
def two(request, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    if request.param == "s3":
        return Store(request.getfixturevalue("s3") + "/two")
    return Store(tmp_path / "two" if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def test_a_merge_there_and_back_makes_both_stores_the_same(one, two):
    cell = Cell(algorithm="x", dataset="d", seed=0)
    put(one, made("x", 0))
    put(one, as_failed(made("x", 1)))
    one.remember("demo", {cell: "1"})
    put(two, made("y", 0))
    two.remember("demo", {cell.model_copy(update={"seed": 1}): "2"})
    two.remember("other", {cell: "3"})

    told = merge([one], two)
    assert (told.copied, told.same, told.planned) == (2, 0, 1)
    assert told.ok
    back = merge([two], one)
    assert (back.copied, back.same, back.planned) == (1, 2, 2)
    assert contents(one) == contents(two)
    assert len(contents(one)) == 3 + 2
    assert one.planned("demo") == two.planned("demo")
    assert set(one.planned("demo").values()) == {"1", "2"}
    assert set(one.planned("other").values()) == {"3"}
    again = merge([two], one)
    assert (again.copied, again.same, again.planned) == (0, 3, 0)


def test_two_finished_records_of_a_run_are_a_conflict(one, two):
    ours = made("x", 0, machine={"processor": "old"})
    theirs = made("x", 0, (0.0, 60.0), machine={"processor": "new\x1b[2J"})
    put(one, theirs, b"their policy")
    put(one, made("x", 1))
    put(two, ours, b"our policy")
    told = merge([one], two)
    assert (told.copied, told.same) == (1, 0)
    assert not told.ok
    (line,) = told.conflicts
    assert line.startswith(f"x on a/b-v0, seed 0, key {ours.key}: ")
    assert f"score 60.0 in {one}, 50.0 in {two}" in line
    assert "processor new\\x1b[2J" in line
    assert line.isprintable()
    assert two.get(ours.cell, ours.key) == ours
    assert two.files.read(agent_name(two.name(ours.cell, ours.key))) == b"our policy"


def test_a_finished_record_replaces_a_failed_one_and_never_the_other_way(one, two):
    first, second, third = made("x", 0), made("x", 1), made("x", 2)
    put(one, first)
    put(two, as_failed(first))
    put(one, as_failed(second))
    put(two, second)
    put(one, as_failed(third, "theirs"))
    put(two, as_failed(third, "ours"))
    told = merge([one], two)
    assert (told.copied, told.replaced, told.kept, told.conflicts) == (0, 1, 2, [])
    assert two.get(first.cell, first.key) == first
    assert two.files.exists(agent_name(two.name(first.cell, first.key)))
    assert two.get(second.cell, second.key) == second
    assert two.get(third.cell, third.key).failure.reason == "ours"


def test_what_is_damaged_or_not_what_its_key_says_is_told_and_not_copied(one, two):
    cut, edited, moved, good = (made("x", seed) for seed in range(4))
    for result in (cut, edited, moved, good):
        put(one, result)
    one.path(cut.cell, cut.key).write_text("{")
    path = one.path(edited.cell, edited.key)
    changed = edited.ingredients.model_copy(update={"config": {"steps": 10_000}})
    path.write_text(edited.model_copy(update={"ingredients": changed}).model_dump_json())
    path = one.path(moved.cell, moved.key)
    path.rename(path.with_name(path.name.replace("seed2", "seed7")))
    # A damaged file of the target gives way, and is kept aside.
    two.files.write(two.name(good.cell, good.key), b"torn")
    told = merge([one], two)
    reasons = sorted(problem.reason for problem in told.damaged)
    assert len(reasons) == 3
    assert reasons[1:] == [
        "it is the record of x on a/b-v0, seed 2",
        "its key is not the hash of its ingredients",
    ]
    assert (told.copied, told.replaced) == (0, 1)
    assert two.load() == ([good], [])
    assert two.files.read(two.name(good.cell, good.key) + ".damaged") == b"torn"


def test_a_policy_that_is_missing_comes_with_the_next_merge(one, two):
    result = made("x", 0)
    put(one, result)
    two.put(result)
    assert merge([one], two).same == 1
    assert two.files.read(agent_name(two.name(result.cell, result.key))) == b"policy"


def test_a_dry_run_writes_nothing_and_counts_the_same(one, two, tmp_path):
    other = Store(tmp_path / "other")
    put(one, made("x", 0))
    put(one, as_failed(made("x", 1)))
    put(other, made("x", 0, (0.0, 70.0)))
    put(other, made("x", 1))
    put(two, made("y", 0))
    before = contents(two)
    would = merge([one, other], two, dry_run=True)
    assert contents(two) == before
    assert would == merge([one, other], two)
    assert (would.copied, would.replaced, len(would.conflicts)) == (2, 1, 1)
    assert contents(two) != before


def test_a_store_is_not_merged_into_itself_or_from_nowhere(one, tmp_path, monkeypatch):
    put(one, made("x", 0))
    monkeypatch.chdir(tmp_path)
    for same in (Store("one"), Store(f"file://{tmp_path}/one")):
        with pytest.raises(ZooError, match="cannot be merged into itself"):
            merge([same], one)
    with pytest.raises(ZooError, match="no store at"):
        merge([Store(tmp_path / "nothing")], one)


def test_the_command_tells_and_fails_on_a_conflict(one, tmp_path, capsys):
    two = Store(tmp_path / "two")
    put(one, made("x", 0))
    put(one, made("x", 1))
    put(two, made("x", 1))
    options = ["leaderboard", "merge", str(one), "--store", str(two)]

    def code(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*options, *arguments])
        return ended.value.code

    assert code("--dry-run") == 0
    assert capsys.readouterr().out == (
        f"1 copied, 1 there before, 0 newly planned; would be in {two}\n"
    )
    assert code() == 0
    assert f"now in {two}" in capsys.readouterr().out
    put(one, made("x", 2, (0.0, 1.0)))
    put(two, made("x", 2))
    assert code() == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("0 copied, 2 there before, 1 in conflict")
    assert re.fullmatch(r"conflict: x on a/b-v0, seed 2, key .*: score 1\.0 in .*\n", shown.err)
