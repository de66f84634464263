"""Which runs a row shows: rows with equal settings share them; a cell averages one condition."""

import json

import pytest
from synthetic import synthetic

from zoo_leaderboard.audit.compare import compare
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.planning import Job
from zoo_leaderboard.report import comparison
from zoo_leaderboard.report.page.runs import runs_of
from zoo_leaderboard.result import Cell, ReferenceScores
from zoo_leaderboard.reviewing import review
from zoo_leaderboard.running.runner import to_run
from zoo_leaderboard.store import Store
from zoo_leaderboard.store.merge import merge
from zoo_leaderboard.track import Track

TRACK = Track(name="demo", summary="made up", datasets=["a-v0", "b-v0"])
DEFAULT, TUNED, BY_HAND = "x", "x (tuned)", "x (steps=100)"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "runs").mkdir()
    return Store(tmp_path / "runs")


def job(result, **changes):
    """The job of a result, in another row where `changes` say so."""
    return Job(
        key=result.key,
        track="demo",
        cell=result.cell.model_copy(update=changes),
        ingredients=result.ingredients,
        total_steps=100,
    )


def share(store, result, *changes):
    """Plans a result's cell in several rows."""
    for change in changes:
        cell = result.cell.model_copy(update=change)
        store.remember("demo", {cell: result.key})


ROWS = ({}, {"variant": "tuned"}, {"settings": {"steps": 100}})


def test_a_run_stands_in_every_row_that_was_planned_with_its_key(store):
    for dataset in ("a-v0", "b-v0"):
        for seed in range(2):
            result = synthetic("x", dataset, seed, (0.0, 40.0 + seed))
            store.put(result)
            share(store, result, *ROWS)
            store.put(synthetic("y", dataset, seed, (0.0, 10.0)))
    board = load(store, TRACK, check=False)
    assert {row.label for row in board.rows} == {DEFAULT, TUNED, BY_HAND, "y"}
    for label in (DEFAULT, TUNED, BY_HAND):
        for dataset in ("a-v0", "b-v0"):
            entry = board.row(label).entry(dataset)
            assert entry.complete
            assert entry.scores == [40.0, 41.0]
            assert {run.cell.row for run in entry.runs} == {label}
            assert [run.seed for run in runs_of(board, board.row(label), dataset)] == [0, 1]
    # No dataset drops out of anybody's aggregates, and equal rows have equal ranks.
    assert board.common == ["a-v0", "b-v0"]
    ranks = {label: found.rank.value for label, found in board.aggregates.items()}
    assert ranks == {DEFAULT: 2.0, TUNED: 2.0, BY_HAND: 2.0, "y": 4.0}
    content = json.loads(board.table("json"))
    assert {row["row"]: row["cells"][0]["scores"] for row in content["rows"]}[TUNED] == [40.0, 41.0]
    assert len(comparison.pairs_of(board, comparison.load_published())) == 8
    assert sorted(set(board.curves()["row"])) == [DEFAULT, BY_HAND, TUNED, "y"]


def test_cells_that_share_a_run_are_one_job(store):
    results = [synthetic("x", "a-v0", seed) for seed in range(2)]
    jobs = [job(result, **change) for change in ROWS for result in results]
    assert [found.cell.seed for found in to_run(review(jobs, store))] == [0, 1]
    store.put(results[0])
    planned = review(jobs, store)
    assert [p.state for p in planned] == ["finished", "missing"] * 3
    assert len(to_run(planned)) == 1
    # The record may lie under the other variant's name.
    tuned = results[1].cell.model_copy(update={"variant": "tuned"})
    store.put(results[1].model_copy(update={"cell": tuned}))
    assert store.get(results[1].cell, results[1].key).cell == tuned
    assert {p.state for p in review(jobs, store)} == {"finished"}


def test_a_failure_or_damage_in_one_row_is_the_other_rows_too(store):
    failed, damaged = synthetic("x", "a-v0", 0, failure="no"), synthetic("x", "a-v0", 1)
    store.put(failed)
    store.put(damaged).write_text("{")
    jobs = [job(found, **change) for change in ROWS for found in (failed, damaged)]
    for found in (failed, damaged):
        share(store, found, *ROWS)
    assert [p.state for p in review(jobs, store)] == ["failed", "damaged"] * 3
    board = load(store, TRACK, check=False)
    for label in (DEFAULT, TUNED, BY_HAND):
        entry = board.row(label).entry("a-v0")
        assert (set(entry.failed), set(entry.damaged), entry.missing) == ({0}, {1}, set())
    # A finished record of the same run counts more, in whichever row it was made.
    tuned = failed.cell.model_copy(update={"variant": "tuned"})
    store.put(synthetic("x", "a-v0", 0).model_copy(update={"cell": tuned, "key": failed.key}))
    assert review(jobs, store)[0].state == "finished"
    for row in load(store, TRACK, check=False).rows:
        assert set(row.entry("a-v0").finished) == {0}


def test_algorithms_with_equal_keys_share_nothing(store):
    result = synthetic("x", "a-v0", 0)
    store.put(result)
    other = job(result, algorithm="y")
    store.remember("demo", {other.cell: other.key})
    assert [p.state for p in review([job(result), other], store)] == ["finished", "missing"]
    board = load(store, TRACK, check=False)
    assert board.row("y").entry("a-v0").missing == {0}


def test_a_run_of_another_track_stands_in_the_row_that_was_planned(store):
    result = synthetic("x", "a-v0", 0, track="elsewhere")
    store.put(result)
    assert load(store, TRACK, check=False).rows == []
    share(store, result, {"settings": {"steps": 100}})
    (row,) = load(store, TRACK, check=False).rows
    assert row.label == BY_HAND
    assert row.entry("a-v0").scores == [50.0]


def test_shared_cells_survive_a_merge(store, tmp_path):
    result = synthetic("x", "a-v0", 0)
    store.put(result)
    share(store, result, *ROWS)
    other = Store(tmp_path / "other")
    other.check_writable()
    assert merge([store], other).planned == 3
    assert other.planned("demo") == store.planned("demo")
    assert len(other.planned("demo")) == 3


def test_a_column_has_one_scale(store, tmp_path):
    before = ReferenceScores(min=0.0, max=100.0, source="before")
    after = ReferenceScores(min=-100.0, max=300.0, source="after")
    for name, seed, reference, at in (
        ("x", 0, before, "2026-01-01"),
        ("x", 1, after, "2026-01-02"),
        ("y", 0, None, "2025-01-01"),
    ):
        # Returns of 80, which are 80 by the first scale, 45 by the second and 80 raw.
        made = synthetic(name, "a-v0", seed, (0.0, 20.0, 40.0), finished_at=at)
        score = 80.0 if reference is None else reference.normalized(80.0)
        store.put(made.model_copy(update={"reference": reference, "score": score}))
    board = load(store, TRACK, check=False)
    assert board.references["a-v0"] == after
    assert board.row("x").entry("a-v0").scores == [45.0, 45.0]
    assert board.row("y").entry("a-v0").scores == [45.0]
    assert list(board.scores()["score"]) == [45.0] * 3
    assert list(board.scores()["best_over_time"]) == [45.0] * 3
    assert list(board.scores()["mean_of_last_3"]) == [40.0] * 3
    assert set(board.curves()["score"]) == {25.0, 35.0, 45.0}
    (run, *_) = runs_of(board, board.row("x"), "a-v0")
    assert [score for _, score in run.evaluations] == [25.0, 35.0, 45.0]
    assert run.details.acts == {"act": 45.0}
    text = board.table()
    assert "1 with 0 to 100, 1 with none" in text
    # A run that stands in two rows is counted once.
    first = store.listing()[0].name
    result = store.read(first)
    share(store, result, *ROWS)
    assert "1 with 0 to 100, 1 with none" in load(store, TRACK, check=False).table()
    assert board.common == ["a-v0"]
    # Two stores whose records have different scales are compared on one.
    other = Store(tmp_path / "other")
    made = synthetic("x", "a-v0", 0, (0.0, 20.0, 40.0))
    other.put(made.model_copy(update={"reference": before, "score": 80.0}))
    (change,) = [c for c in compare(store, other, TRACK) if c.row == "x"]
    assert change.b == [45.0]


def test_a_raw_column_enters_no_aggregate_whatever_its_older_runs_had(store):
    store.put(synthetic("x", "a-v0", 0, finished_at="2026-01-01"))
    store.put(synthetic("x", "a-v0", 1, reference=None, finished_at="2026-01-02"))
    board = load(store, TRACK, check=False)
    assert board.references["a-v0"] is None
    assert board.row("x").entry("a-v0").scores == [100.0, 100.0]
    assert board.common == []


def test_returns_without_a_finite_score_on_the_column_s_scale_are_damage(store):
    store.put(synthetic("x", "a-v0", 0, (1e306, 1e306), reference=None, finished_at="2025-01-01"))
    tiny = ReferenceScores(min=0.0, max=1e-3, source="tiny")
    made = synthetic("x", "a-v0", 1, finished_at="2026-01-01")
    store.put(made.model_copy(update={"reference": tiny, "score": 1e7}))
    board = load(store, TRACK, check=False)
    assert set(board.row("x").entry("a-v0").damaged) == {0}
    for style in ("markdown", "csv", "json", "latex"):
        board.table(style)


def test_a_cell_averages_one_condition(store):
    old, new = {"plugin": "old"}, {"plugin": "new"}
    for seed in range(3):
        store.put(synthetic("x", "a-v0", seed, (0.0, 90.0), sources=old, finished_at="2026-01-01"))
    store.put(synthetic("x", "a-v0", 1, (0.0, 10.0), sources=new, finished_at="2026-01-02"))
    entry = load(store, TRACK, check=False).row("x").entry("a-v0")
    assert entry.scores == [10.0]
    assert set(entry.stale) == {0, 2}
    assert "code of plugin" in entry.stale[0][1]
    assert not entry.complete
    # The plan knows which one is meant, whichever is newer.
    for seed in range(3):
        result = synthetic("x", "a-v0", seed, sources=old)
        store.remember("demo", {result.cell: result.key})
    entry = load(store, TRACK, check=False).row("x").entry("a-v0")
    assert entry.scores == [90.0, 90.0, 90.0]
    assert entry.complete
    # An algorithm that is not installed cannot be checked, which changes nothing of it.
    assert load(store, TRACK).row("x").entry("a-v0").scores == [90.0, 90.0, 90.0]


def test_a_comparison_holds_one_condition_of_each_store(store, tmp_path):
    other = Store(tmp_path / "other")
    for seed in range(3):
        at = "2026-01-02" if seed else "2026-01-01"
        result = synthetic("x", "a-v0", seed, sources={"plugin": str(seed > 0)}, finished_at=at)
        store.put(result)
        other.put(result)
    (change,) = compare(store, other, TRACK)
    assert (change.verdict, len(change.a), len(change.b)) == ("same", 2, 2)


def test_versions_that_differ_within_a_cell_are_named(store):
    for seed, torch in enumerate(("2.1.0", "2.1.0", "2.2.0")):
        versions = {"torch": torch, "gymnasium": "1.2.0", "python": f"3.11.{seed}"}
        store.put(synthetic("x", "a-v0", seed).model_copy(update={"versions": versions}))
        store.put(synthetic("y", "a-v0", seed).model_copy(update={"versions": {"torch": "2"}}))
    board = load(store, TRACK, check=False)
    note = "versions differ: torch 2.1.0 (seeds 0, 1); torch 2.2.0 (seed 2)"
    assert board.row("x").entry("a-v0").versions_note == note
    assert board.row("y").entry("a-v0").versions_note == ""
    assert note in board.table()
    cells = {row["row"]: row["cells"][0] for row in json.loads(board.table("json"))["rows"]}
    assert (cells["x"]["versions"], cells["y"]["versions"]) == (note, "")
    assert note in board.table("csv")
    (line,) = board.notes
    assert "x on a-v0" in line
    assert note in line


def test_a_row_label_is_not_what_tells_a_plan_s_cells_apart():
    assert Cell(algorithm="x", dataset="a", seed=0).run("k") == (
        Cell(algorithm="x", variant="tuned", dataset="a", seed=0).run("k")
    )
