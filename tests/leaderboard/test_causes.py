"""One cause is said once, however many things it hits."""

from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from synthetic import synthetic

from zoo_core import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.causes import by_cause, named
from zoo_leaderboard.commands.leaderboard import _finish, table_command
from zoo_leaderboard.planning import Job, Planner
from zoo_leaderboard.planning.jobs import _obtainable
from zoo_leaderboard.running.runner import Summary
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import load_track


def test_problems_are_grouped_by_what_is_the_same():
    problems = [("a", "'a' is offline"), ("b", "'b' is damaged"), ("c", "'c' is offline")]
    assert by_cause(problems, list) == [(["a", "c"], "'a' is offline"), (["b"], "'b' is damaged")]
    assert by_cause([], list) == []
    assert named("abc") == "a, b, c"
    assert named("abcde") == "a, b, c and 2 more"


def test_many_damaged_files_are_a_line_for_each_kind_of_damage(tmp_path):
    store = Store(tmp_path / "runs")
    for seed in range(9):
        result = synthetic("bc", "zoo/bandit/modes-v0", seed)
        store.put(result)
        store.path(result.cell, result.key).write_text("" if seed % 2 else "{")
    done = CliRunner().invoke(table_command, ["--store", str(store)])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stderr.splitlines() if "damaged" in line]
    assert len(lines) == 2
    assert {line.rpartition("(")[2] for line in lines} == {
        "and 3 more like it)",
        "and 4 more like it)",
    }
    assert len(done.stdout.splitlines()) <= 25


def planner(monkeypatch, problem):
    def find(name):
        if text := problem(name):
            raise ZooError(text)
        return SimpleNamespace(environment=name)

    monkeypatch.setattr(datasets, "find", find)
    lines = []
    return Planner(load_track("d4rl"), tell=lines.append), lines


def test_a_track_without_a_network_is_one_line(monkeypatch):
    def problem(name):
        # Of a sum, as some of the track are, the first member is named.
        return f"dataset '{name.partition('+')[0]}' is not here (offline)"

    found, lines = planner(monkeypatch, problem)
    assert any("+" in name for name in found.track.dataset_ids())
    ids = found.track.dataset_ids()
    with pytest.raises(ZooError) as caught:
        _obtainable(found)
    assert lines == []
    text = str(caught.value)
    assert f"{len(ids)} datasets" in text
    assert all(name in text for name in ids[:3])
    assert ids[3] not in text
    assert text.count("offline") == 1


def test_datasets_that_are_left_out_are_a_line_for_each_cause(monkeypatch):
    def problem(name):
        if "mujoco" in name:
            return ""
        return "the disk is damaged" if "antmaze" in name else f"'{name}' is offline"

    found, lines = planner(monkeypatch, problem)
    assert all("mujoco" in name for name in _obtainable(found))
    assert len(lines) == 2
    assert all(line.startswith("left out: ") for line in lines)


def test_equal_failures_of_a_run_are_said_once_with_the_place_of_a_traceback(tmp_path, capsys):
    store, summary = Store(tmp_path / "runs"), Summary()
    for seed in range(5):
        for name, reason in (("bc", "out of memory"), (f"x{seed}", f"reason {seed}")):
            result = synthetic(name, f"d{seed}-v0", seed, failure=f"{reason} on d{seed}-v0")
            failure = result.failure.model_copy(update={"traceback": "Traceback"})
            result = result.model_copy(update={"failure": failure})
            store.put(result)
            job = Job(
                key=result.key,
                track="demo",
                cell=result.cell,
                ingredients=result.ingredients,
                total_steps=1,
            )
            summary.add(job, result)
    with click.Context(click.Command("run")), pytest.raises(click.exceptions.Exit):
        _finish(summary, store)
    err = capsys.readouterr().err
    assert err.count("out of memory") == 1
    (line,) = [line for line in err.splitlines() if "out of memory" in line]
    assert line.startswith("failed, 5 runs: bc on d0-v0, seed 0, ")
    assert "and 2 more" in line
    assert all(err.count(f"reason {seed}") == 1 for seed in range(5))
    assert err.count("traceback: ") == 6
    first = next(line for line in err.splitlines() if "traceback: " in line)
    assert store.get(job.cell, job.key).failure.traceback
    assert (tmp_path / first.rpartition("traceback: ")[2]).is_file()
