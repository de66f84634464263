"""Merging stores: nothing is lost, nothing is overwritten, and what differs is told."""

import json
import os
import re
import uuid

import pytest
from synthetic import synthetic

from zoo_core import ZooError
from zoo_core.cli import main
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.fingerprint import digest
from zoo_leaderboard.result import Cell, Failure, Measured, ReferenceScores, Result, Times
from zoo_leaderboard.store import Store, agent_beside, agent_name
from zoo_leaderboard.store.merge import merge
from zoo_leaderboard.track import Track


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


CLOCKS = {
    "times": {"times": Times(training=9.0, evaluation=8.0, setup=7.0, attempts=3, finished_at="x")},
    "machine": {"machine": {"processor": "other", "threads": "8"}},
    "versions": {"versions": {"torch": "9.9"}},
    "costs": {"parameters": 7, "peak_memory": 8, "peak_device_memory": 9},
    "tuning": {"tuning_evaluations": 35},
    "metrics": {"training": (Measured(step=9, stage="s", steps=9, metrics={"a": 1.0}),)},
}


@pytest.mark.parametrize("changes", CLOCKS.values(), ids=CLOCKS)
def test_equal_results_are_one_run_whatever_their_clocks_say(one, two, changes):
    ours = made("x", 0)
    slower = [e.model_copy(update={"seconds": 99.0}) for e in ours.evaluations]
    put(one, made("x", 0, evaluations=tuple(slower), **changes), b"their policy")
    put(two, ours, b"our policy")
    for dry_run in (True, False):
        told = merge([one], two, dry_run=dry_run)
        assert (told.copied, told.same, told.conflicts) == (0, 1, [])
        assert told.ok
    assert two.get(ours.cell, ours.key) == ours
    assert two.files.read(agent_name(two.name(ours.cell, ours.key))) == b"our policy"


def test_a_run_of_two_tracks_is_one_run_and_in_both(one, two):
    ours = made("x", 0)
    theirs = ours.model_copy(update={"track": "other"})
    put(one, theirs)
    put(two, ours)
    assert merge([one], two).same == 1
    for track in ("demo", "other"):
        found = load(two, Track(name=track, summary="", datasets=["a/b-v0"]), check=False)
        assert [run.key for run in found.runs] == [ours.key]


def other_return(result):
    *first, last = result.evaluations
    changed = last.model_copy(update={"returns": tuple(reversed(last.returns))})
    return result.model_copy(update={"evaluations": (*first, changed)})


def other_length(result):
    *first, last = result.evaluations
    changed = last.model_copy(update={"lengths": (1, 1)})
    return result.model_copy(update={"evaluations": (*first, changed)})


def other_curve(result):
    first, *more = result.evaluations
    changed = first.model_copy(update={"returns": (1.0, 2.0)})
    return result.model_copy(update={"evaluations": (changed, *more)})


@pytest.mark.parametrize("change", [other_return, other_length, other_curve])
def test_other_episodes_are_a_conflict_even_at_an_equal_score(one, two, change):
    ours = made("x", 0)
    put(one, change(ours))
    put(two, ours)
    told = merge([one], two)
    assert (told.same, len(told.conflicts)) == (0, 1)
    assert two.get(ours.cell, ours.key) == ours


@pytest.mark.parametrize("link", ["policy", "record", "folder"])
def test_links_that_lead_out_of_a_store_are_not_followed(one, tmp_path, link):
    """The secret would be copied, and published with the store."""
    two, secret = Store(tmp_path / "two"), tmp_path / "secret"
    put(one, made("x", 0))
    bait = made("x", 1)
    put(one, bait)
    path = one.path(bait.cell, bait.key)
    place = {"policy": agent_beside(path), "record": path, "folder": path.parent}[link]
    if link == "policy":
        secret.write_bytes(b"secret")
        place.unlink()
    else:
        place.rename(secret)
    place.symlink_to(secret)
    told = merge([one], two)
    assert told.damaged
    assert all("link" in problem.reason for problem in told.damaged)
    assert b"secret" not in contents(two).values()
    assert (two.get(bait.cell, bait.key) is not None) == (link == "policy")


def test_a_pipe_in_the_place_of_a_policy_is_not_waited_for(one, tmp_path):
    result, two = made("x", 0), Store(tmp_path / "two")
    put(one, result)
    place = agent_beside(one.path(result.cell, result.key))
    place.unlink()
    os.mkfifo(place)
    told = merge([one], two)
    assert (told.copied, len(told.damaged)) == (1, 1)
    assert "pipe" in told.damaged[0].reason
    assert two.get(result.cell, result.key) == result


def test_links_within_a_store_and_to_a_store_are_followed(one, tmp_path):
    first, second, two = made("x", 0), made("x", 1), Store(tmp_path / "two")
    put(one, first, b"policy 1")
    put(one, second, b"policy 2")
    place = agent_beside(one.path(second.cell, second.key))
    shared = one.root / "shared.pt"
    place.rename(shared)
    place.symlink_to(shared)
    (tmp_path / "linked").symlink_to(one.root)
    told = merge([Store(tmp_path / "linked")], two)
    assert (told.copied, told.damaged) == (2, [])
    assert b"policy 2" in contents(two).values()


@pytest.mark.parametrize("name", ["../../evil", "..", "a/b", "/etc/evil", "x\n", "\\evil", ""])
def test_a_plan_with_a_hostile_name_is_written_nowhere(tmp_path, name):
    source = Store(f"memory://{uuid.uuid4().hex}/deep/store")
    put(source, made("x", 0))
    cell = {"algorithm": "x", "dataset": "d", "seed": 0}
    source.files.write(f"plans/{name}.json", json.dumps({"1": cell}).encode())
    target = tmp_path / "deep" / "target"
    merge([source], Store(target))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(target) for path in written)
    assert not any("evil" in path.name for path in written)


def test_equal_returns_are_one_run_whatever_reference_scores_were_known(one, two):
    theirs = ReferenceScores(min=0.0, max=50.0, source="since")
    put(one, made("x", 0, reference=theirs, score=200.0))
    put(two, made("x", 0))
    told = merge([one], two)
    assert (told.same, told.conflicts) == (1, [])


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


def test_a_damaged_plan_of_a_source_is_reported(tmp_path):
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target")
    (tmp_path / "source/plans/demo").mkdir(parents=True)
    (tmp_path / "source/plans/demo/0.json").write_text("{")
    (problem,) = merge([source], target).damaged
    assert "damaged plan" in str(problem)
    assert problem.place.endswith("plans/demo/0.json")
