"""Real processes: jobs that fail in every way, and the store that they leave behind."""

import math
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from worlds import BANDIT, servers_and_jobs

import zoo_leaderboard
import zoo_leaderboard.running.runner
from zoo_core import Agent, Trainer, ZooError
from zoo_leaderboard.datasets import find
from zoo_leaderboard.planning import plan
from zoo_leaderboard.result import Protocol
from zoo_leaderboard.reviewing import Planned, review
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

TRACK = Track(
    name="trouble",
    summary="made up",
    datasets=[BANDIT],
    seeds=[0],
    protocol=Protocol(episodes=2, evaluations=2),
    defaults={"steps": 100, "batch_size": 16},
)
REASONS = {
    "raises": ("error", "ValueError: the plugin's own mistake"),
    "exits": ("error", "SystemExit: the code called sys.exit(enough)"),
    "quits": ("error", "the process ended with code 9: last words"),
    "killed": ("killed", "the process was killed by SIGKILL, 3 times"),
    "crashes": ("error", "the process crashed with SIGSEGV"),
    "hangs": ("timeout", "over the time limit of 15 s"),
    "diverges": ("diverged", "actor/trouble_diverges is nan"),
}


def test_a_job_that_fails_costs_its_own_cell_and_nothing_else(world):
    store = Store(world / "runs")
    names = ["steady", "outsider", *REASONS]
    summary = zoo_leaderboard.run(TRACK, algorithms=names, store=store, workers=2, time_limit=15)
    assert summary.finished == 2
    assert {job.cell.algorithm for job, _ in summary.failures} == set(REASONS)
    assert not summary.ok

    results, damaged = store.load()
    assert damaged == []
    found = {result.cell.algorithm: result for result in results}
    for name, (kind, reason) in REASONS.items():
        failure = found[name].failure
        assert failure.kind == kind
        assert reason in failure.reason
        # What was evaluated before the end is kept.
        assert [e.step for e in found[name].evaluations] == [0]
    assert "misbehave" in found["raises"].failure.traceback
    assert found["steady"].score is not None
    assert found["outsider"].external
    assert [e.step for e in found["steady"].evaluations] == [0, 50, 100]

    board = zoo_leaderboard.load(store, TRACK)
    text = board.table()
    for _, reason in REASONS.values():
        assert reason in text.replace("\\", "")
    assert "outsider \\[external\\]" in text
    assert set(board.aggregates) == {"steady", "outsider"}

    # Once more: nothing that is finished or failed by its own fault runs again.
    planned = review(plan(TRACK, algorithms=names), store)
    again = {p.job.cell.algorithm: (p.state, p.retry) for p in planned}
    assert again["steady"] == ("finished", False)
    assert again["killed"] == ("failed", True)
    assert again["raises"] == ("failed", False)
    before = {p: p.stat().st_mtime_ns for p in store.root.rglob("*.json") if "plans" not in str(p)}
    summary = zoo_leaderboard.run(TRACK, algorithms=["steady", "raises"], store=store)
    assert (summary.finished, summary.already, len(summary.failures)) == (0, 1, 1)
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_a_diverged_job_keeps_its_last_good_checkpoint_until_it_is_retried(world):
    store = Store(world / "runs")
    often = TRACK.model_copy(update={"protocol": Protocol(episodes=2, evaluations=10)})
    options = {"algorithms": ["diverges"], "store": store, "display": (seen := KillAt(math.inf))}
    assert not zoo_leaderboard.run(often, **options).ok
    ((result,), _) = store.load()
    named = re.search(r"the last good checkpoint is (\S+) of step (\d+)$", result.failure.reason)
    assert int(named[2]) in range(1, result.failure.step + 1)
    agent = Agent.load(named[1])
    assert all(parameter.isfinite().all() for parameter in agent.parameters())
    (job,) = plan(often, algorithms=["diverges"])
    recipe, data = job.recipe(), find(BANDIT).data
    assert Trainer.load(named[1], recipe, data).step == int(named[2])

    # Left alone by a plain run; from scratch by a retry.
    assert not zoo_leaderboard.run(often, **options).ok
    assert Path(named[1]).exists()
    seen.steps.clear()
    assert not zoo_leaderboard.run(often, **options, retry_failed=True).ok
    assert seen.steps[0] == 0
    ((again,), _) = store.load()
    assert again.times.attempts == 1
    assert [e.step for e in again.evaluations] == [e.step for e in result.evaluations]
    assert Path(named[1]).exists()


class Told(Display):
    """Keeps what it is told of the stage that is prepared."""

    def __init__(self):
        self.preparing = []

    def progress(self, job, progress):
        self.preparing.append((progress.step, progress.preparing, progress.prepared))


def test_workers_tell_how_far_a_stages_columns_are(world):
    display = Told()
    assert zoo_leaderboard.run(TRACK, algorithms=["draws"], store=world / "r", display=display).ok
    assert [told for told in display.preparing if told[1]] == [(25, "train", 1.0)]
    assert display.preparing[-1] == (100, "", 0.0)


def test_two_runners_share_a_store_and_no_job_runs_twice(world):
    store = Store(world / "runs")
    done = []

    def go():
        settings = {"delay": 0.004}
        done.append(
            zoo_leaderboard.run(
                TRACK,
                algorithms=["steady"],
                seeds=(0, 1, 2, 3),
                settings=settings,
                store=store,
                workers=1,
            )
        )

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(summary.ok for summary in done)
    results, _ = store.load()
    assert len(results) == 4
    # A second attempt would have resumed, and counted itself.
    assert [result.times.attempts for result in results] == [1, 1, 1, 1]
    assert not list((store.root / "unfinished").iterdir())


def test_stale_results_are_shown_and_neither_used_nor_lost(world):
    store = Store(world / "runs")
    source = world.parent / "site" / "zoo_trouble.py"
    zoo_leaderboard.run(TRACK, algorithms=["steady"], store=store)
    (old,), _ = store.load()

    def reviewed():
        from zoo_core import registry

        registry.installed.cache_clear()
        (item,) = review(plan(TRACK, algorithms=["steady"]), store)
        return item

    source.write_text(
        source.read_text().replace('"""Seconds per call."""', '"""Other words."""  #')
    )
    assert reviewed().state == "finished"
    source.write_text(source.read_text().replace("CALLS = 30", "CALLS = 31"))
    item = reviewed()
    assert item.state == "missing"
    assert item.note == "stale result: code of zoo_trouble changed"
    board = zoo_leaderboard.load(store, TRACK)
    assert "†" in board.table()
    assert "code of zoo\\_trouble" in board.table()
    assert board.aggregates == {}
    assert list(board.scores()["state"]) == ["stale"]

    zoo_leaderboard.run(TRACK, algorithms=["steady"], store=store)
    results, _ = store.load()
    assert old in results
    assert len(results) == 2
    assert "†" not in zoo_leaderboard.load(store, TRACK).table()


def test_a_changed_protocol_or_budget_is_another_key(world):
    (job,) = plan(TRACK, algorithms=["steady"])
    for changes in (
        {"protocol": Protocol(episodes=3, evaluations=2)},
        {"defaults": {"steps": 101, "batch_size": 16}},
        {"seeds": (1,)},
    ):
        (other,) = plan(TRACK.model_copy(update=changes), algorithms=["steady"])
        assert other.key != job.key
    (same,) = plan(
        TRACK.model_copy(update={"name": "other", "notes": ("x",)}), algorithms=["steady"]
    )
    assert same.key == job.key


def test_the_tuned_variant_is_planned_where_there_are_values(world):
    variants = ("default", "tuned")
    plain = TRACK.model_copy(update={"defaults": {"steps": 100}})
    jobs = plan(plain, algorithms=["steady", "outsider"], variants=variants)
    assert [job.cell.row for job in jobs] == ["steady", "steady (tuned)", "outsider"]
    assert jobs[1].ingredients.config["batch_size"] == 32
    with pytest.raises(ZooError, match="no tuned values"):
        plan(plain, algorithms=["outsider"], variants=("tuned",))


class KillAt(Display):
    """Kills the jobs from outside when one has done some steps."""

    def __init__(self, step):
        self.step, self.steps = step, []

    def progress(self, job, progress):
        self.steps.append(progress.step)
        if progress.step >= self.step:
            for pid in servers_and_jobs()[1]:
                os.kill(pid, signal.SIGKILL)
            self.step = math.inf


def test_a_worker_that_is_killed_goes_on_with_the_next_run(world):
    store = Store(world / "runs")
    killer = KillAt(60)
    options = {"algorithms": ["steady"], "settings": {"delay": 0.01}, "store": store, "retries": 0}
    summary = zoo_leaderboard.run(TRACK, display=killer, **options)
    assert [reason for _, reason in summary.failures] == ["the process was killed by SIGKILL"]
    assert "failed" in zoo_leaderboard.load(store, TRACK).table()
    again = KillAt(math.inf)
    assert zoo_leaderboard.run(TRACK, display=again, **options).ok
    assert again.steps[0] == 50
    ((result,), _) = store.load()
    assert result.times.attempts == 2
    assert [e.step for e in result.evaluations] == [0, 50, 100]


class Retries(KillAt):
    """Keeps what it is told of jobs that start again."""

    def __init__(self, step):
        super().__init__(step)
        self.told = []

    def retried(self, job, reason):
        self.told.append(reason)


def test_a_worker_that_is_killed_starts_again_within_the_run(world):
    store = Store(world / "runs")
    display = Retries(60)
    options = {"algorithms": ["steady"], "settings": {"delay": 0.01}, "store": store}
    assert zoo_leaderboard.run(TRACK, display=display, **options).ok
    assert display.told == ["the process was killed by SIGKILL"]
    ((result,), _) = store.load()
    assert result.times.attempts == 2
    assert [e.step for e in result.evaluations] == [0, 50, 100]


@pytest.mark.slow
def test_what_a_plugin_does_to_its_machine_stays_in_its_cell(world):
    store = Store(world / "runs")
    summary = zoo_leaderboard.run(
        TRACK,
        algorithms=["forks", "chatters", "devours", "steady"],
        settings={"delay": 0.02},
        store=store,
        workers=2,
        memory_limit="1GiB",
    )
    assert (summary.finished, len(summary.failures)) == (3, 1)
    found = {result.cell.algorithm: result for result in store.load()[0]}
    failure = found["devours"].failure
    assert failure.kind == "memory"
    assert re.match(r"over the memory limit of 1 GiB: it held 1\.\d+ GiB$", failure.reason)
    # Of the fork's copies one made the record; the sleepers and the daemon are gone.
    assert found["forks"].times.attempts == 1
    assert [e.step for e in found["forks"].evaluations] == [0, 50, 100]
    assert servers_and_jobs() == ([], [])
    (planned,) = review(plan(TRACK, algorithms=["devours"], settings={"delay": 0.02}), store)
    assert not planned.retry


def test_a_plugin_that_reseeds_the_shared_generators_changes_nothing(world, monkeypatch):
    measured = []
    for name in ("quiet", "reseeded"):
        store = Store(world / name)
        assert zoo_leaderboard.run(TRACK, algorithms=["reseeds"], store=store).ok
        ((result,), _) = store.load()
        measured.append(([e.returns for e in result.evaluations], result.training))
        monkeypatch.setenv("TROUBLE_RESEEDS", "1")
    assert measured[0] == measured[1]


@pytest.mark.slow
def test_no_record_of_another_runner_is_made_again_or_replaced(world):
    store = Store(world / "runs")
    summary = zoo_leaderboard.run(TRACK, algorithms=["raises", "steady"], store=store, workers=2)
    assert (summary.finished, len(summary.failures)) == (1, 1)
    jobs = plan(TRACK, algorithms=["raises", "steady"])
    before = {p: p.stat().st_mtime_ns for p in store.root.glob("results/**/*.json")}
    # This runner's plan is from before the other one ran.
    late = zoo_leaderboard.running.runner.run_planned(
        [Planned(job, "missing") for job in jobs], store, Display(), workers=2
    )
    assert before == {p: p.stat().st_mtime_ns for p in before}
    assert [reason for _, reason in late.failures] == [reason for _, reason in summary.failures]
