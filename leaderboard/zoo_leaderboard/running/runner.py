"""Runs a plan's missing jobs on this machine, one process each, whatever happens to them.

A job that fails, crashes or is killed costs its own cell and nothing else. The runner keeps no
separate state: results, checkpoints and locks are files, so that it can be killed at any moment
and started again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from zoo_core.errors import ZooError
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import Failure, Result
from zoo_leaderboard.reviewing import Planned, each_run
from zoo_leaderboard.running.forkserver import ForkServer
from zoo_leaderboard.running.limits import UNLIMITED, Limits, Overrun, Usage, Watch, cut_log
from zoo_leaderboard.running.memory import kernel_kills
from zoo_leaderboard.running.outcome import failed
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.running.run import Progress
from zoo_leaderboard.running.worker import BUSY, made_since, stamp, tail
from zoo_leaderboard.store import Store

BUSY_SECONDS = 1.0
"""Seconds between checks of a job that another runner has."""
SERVER_DEATHS = 3
"""Consecutive deaths of the fork server without starting a job after which the runner gives up."""


@dataclass
class Summary:
    """Outcomes of a run's jobs."""

    finished: int = 0
    """Jobs that this run finished; one job may stand in several rows."""
    already: int = 0
    """Jobs that were finished before."""
    failures: list[tuple[Job, str]] = field(default_factory=list)
    """Planned jobs without a score, each with its reason; those of earlier runs too."""

    @property
    def ok(self) -> bool:
        """Whether every planned job has a score."""
        return not self.failures

    def add(self, job: Job, result: Result) -> None:
        """Counts what a job left."""
        if result.failure is None:
            self.finished += 1
        else:
            self.failures.append((job, result.failure.reason))


class Wanted(NamedTuple):
    """A job that is to run."""

    job: Job
    seen: str = ""
    """The stamp of the failed record that the plan knew; empty where there was none."""


@dataclass(frozen=True)
class Orders:
    """Options shared by all jobs."""

    store: Store
    """Store for the results."""
    display: Display
    """Receives progress events."""
    summary: Summary
    """Receives the outcome of each job."""
    workers: int | None
    """Jobs at a time. Default: as many as there is room for."""
    limits: Limits
    """Limits per job."""


class Engine(Protocol):
    """Another way to run jobs than processes of this machine."""

    def run(self, wanted: Sequence[Wanted], orders: Orders) -> None:
        """Runs jobs, and adds what became of them to the orders' summary; see `run_planned`."""


@dataclass
class _Task:
    """A job on its way, with what its processes in this run took so far."""

    number: int
    job: Job
    seen: str
    """The stamp of the failed record that the plan knew; empty where there was none."""
    kills: int = 0
    spent: float = 0.0
    """Seconds of the processes that are over."""
    group: int = 0
    """Its process group; 0 while the fork server is still loading."""
    started: float = 0.0
    step: int = 0
    overrun: Overrun | None = None
    unwritable: str = ""
    """Description of a failed write that kept the process from leaving a record."""

    def begin(self) -> None:
        """A process of it starts: what ended an earlier one says nothing about this one."""
        self.overrun, self.unwritable = None, ""

    def usage(self) -> Usage:
        return Usage(self.spent + time.monotonic() - self.started, self.group)

    def stopped(self) -> None:
        """Its process is over."""
        if self.group:
            self.spent += time.monotonic() - self.started
        self.group = 0


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def signal_name(number: int) -> str:
    """A signal as `SIGKILL`; real-time ones have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def to_run(planned: Iterable[Planned], retry_failed: bool = False) -> list[Job]:
    """The jobs that a run starts, one for cells that share a run: those without a result, those
    that failed for a cause outside of them, and on request those that failed or whose record is
    damaged."""
    return [
        p.job
        for p in each_run(planned)
        if p.state == "missing" or p.retry or (retry_failed and p.state in {"failed", "damaged"})
    ]


def run_planned(
    planned: Sequence[Planned],
    store: Store,
    display: Display,
    *,
    workers: int | None = None,
    retry_failed: bool = False,
    limits: Limits = UNLIMITED,
    engine: Engine | None = None,
) -> Summary:
    """Runs what is missing and waits for it.

    Args:
        planned: Plan from `zoo_leaderboard.reviewing.review`.
        store: Store for the results.
        display: Receives progress events.
        workers: Processes at a time. Default: as many as fit the cores.
        retry_failed: Whether failed and damaged cells are run again.
        limits: Limits per job.
        engine: Engine that runs the jobs. Default: processes on this machine.

    Raises:
        ZooError: the store cannot be written, or the engine itself cannot go on.
    """
    jobs = to_run(planned, retry_failed)
    chosen = {job.run for job in jobs}
    left = [p for p in each_run(planned) if p.job.run not in chosen]
    summary = Summary(
        already=sum(p.state == "finished" for p in left),
        failures=[(p.job, p.note) for p in left if p.state != "finished"],
    )
    for item in left:
        store.settle(item.job.key)
    if jobs:
        store.check_writable()
        failed_before = {p.job.run for p in planned if p.state == "failed"}
        wanted = [
            Wanted(job, stamp(store.get(job.cell, job.key)) if job.run in failed_before else "")
            for job in jobs
        ]
        run = run_here if engine is None else engine.run
        run(wanted, Orders(store, display, summary, workers, limits))
    return summary


def run_here(wanted: Sequence[Wanted], orders: Orders) -> None:
    """Runs jobs in processes of this machine, and adds what became of them to the orders' summary;
    see `run_planned`."""
    threads = max(job.threads for job, _ in wanted)
    tasks = [_Task(number, *item) for number, item in enumerate(wanted)]
    _Runner(tasks, orders, orders.workers or max(1, usable_cores() // threads)).run(threads)


def repeated(failure: Failure, times: int) -> Failure:
    """A failure that says how often its job was killed."""
    if times <= 1:
        return failure
    return failure.model_copy(update={"reason": f"{failure.reason}, {times} times"})


def leave_failure(store: Store, job: Job, seen: str, failure: Failure) -> Result | None:
    """Records a failure, unless another runner made a record in the meantime.

    Returns the job's record; None if another runner has the job now.

    Args:
        store: Store for the results.
        job: The job.
        seen: The stamp of the failed record that the plan knew.
        failure: Why it has no score.
    """
    result = failed(job, failure, store.unfinished(job.key))
    with contextlib.suppress(ZooError, OSError), store.lock(job.key) as mine:
        if not mine:
            return None
        found = made_since(store, job, seen)
        if found is not None:
            return found
        store.put(result)
    return result


class _Runner:
    def __init__(self, tasks: Iterable[_Task], orders: Orders, workers: int) -> None:
        self.pending = deque(tasks)
        self.busy: list[tuple[float, _Task]] = []
        self.running: dict[int, _Task] = {}
        self.store, self.display, self.summary = orders.store, orders.display, orders.summary
        self.workers, self.limits, self.watch = workers, orders.limits, Watch(orders.limits)
        self.kernel_kills = kernel_kills()

    def run(self, threads: int) -> None:
        deaths = 0
        while self.pending or self.busy or self.running:
            try:
                with ForkServer(threads) as server:
                    self._serve(server)
            except (RuntimeError, BrokenPipeError) as error:
                deaths = 0 if any(task.group for task in self.running.values()) else deaths + 1
                if deaths == SERVER_DEATHS:
                    raise ZooError(f"cannot run jobs: {error}") from error
                self._server_died()

    def _serve(self, server: ForkServer) -> None:
        while self.pending or self.busy or self.running:
            self._wake_busy()
            while self.pending and len(self.running) < self.workers:
                self._start(server, self.pending.popleft())
            for event in server.events(0.2):
                self._handle(event)
            self._watch_over(server)
            self.display.tick()

    def _start(self, server: ForkServer, task: _Task) -> None:
        job = task.job
        task.begin()
        self.running[task.number] = task
        server.start(
            task.number,
            job.model_dump(mode="json"),
            str(self.store),
            str(self.store.unfinished(job.key)),
            task.seen,
        )
        self.display.started(job)

    def _server_died(self) -> None:
        """Its children died with it; they go on from their checkpoints."""
        tasks = list(self.running.values())
        self.running.clear()
        for task in tasks:
            if not task.group:
                self.pending.appendleft(task)
                continue
            # What a job itself forked does not die with the server.
            with contextlib.suppress(OSError):
                os.killpg(task.group, signal.SIGKILL)
            task.stopped()
            reason = "the process was killed together with the fork server"
            self._failed(task, self._failure(task, "killed", reason))

    def _wake_busy(self) -> None:
        now = time.monotonic()
        for entry in [entry for entry in self.busy if entry[0] <= now]:
            self.busy.remove(entry)
            self.pending.append(entry[1])

    def _watch_over(self, server: ForkServer) -> None:
        under_way = {n: task for n, task in self.running.items() if task.group and not task.overrun}
        usages = {number: task.usage() for number, task in under_way.items()}
        for number, overrun in self.watch.overruns(usages).items():
            under_way[number].overrun = overrun
            server.kill(number)
        for task in under_way.values():
            cut_log(self.store.unfinished(task.job.key) / "log")

    def _handle(self, event: dict[str, Any]) -> None:
        number = event.pop("id", None)
        if number not in self.running:
            return
        kind = event.pop("event")
        task = self.running[number]
        if kind == "started":
            task.group, task.started = event["pid"], time.monotonic()
        elif kind == "progress":
            progress = Progress.model_construct(**event)
            task.step = progress.step
            self.display.progress(task.job, progress)
        elif kind == "unwritable":
            task.unwritable = event["reason"]
        elif kind == "exit":
            del self.running[number]
            task.stopped()
            self._ended(task, event["code"])

    def _ended(self, task: _Task, code: int) -> None:
        if code == BUSY:
            self._wait(task)
            return
        result = made_since(self.store, task.job, task.seen)
        if result is None:
            self._failed(task, self._explain(task, code))
        else:
            self.store.settle(task.job.key)
            self._over(task, result)

    def _wait(self, task: _Task) -> None:
        self.busy.append((time.monotonic() + BUSY_SECONDS, task))
        self.display.waiting(task.job)

    def _failed(self, task: _Task, failure: Failure) -> None:
        """A process is over and left no record: it is started again, or recorded."""
        if failure.kind == "killed":
            task.kills += 1
            if task.kills <= self.limits.retries:
                self.display.retried(task.job, failure.reason)
                self.pending.appendleft(task)
                return
            failure = repeated(failure, task.kills)
        result = leave_failure(self.store, task.job, task.seen, failure)
        if result is None:
            self._wait(task)
        else:
            self._over(task, result)

    def _over(self, task: _Task, result: Result) -> None:
        self.summary.add(task.job, result)
        self.display.finished(task.job, result)
        if result.failure is not None and result.failure.kind == "disk":
            # Whatever is started now would train for nothing.
            self.store.check_writable()

    def _explain(self, task: _Task, code: int) -> Failure:
        """Why a process ended without a record."""
        if task.overrun is not None:
            return self._failure(task, task.overrun.kind, task.overrun.reason)
        if task.unwritable:
            return self._failure(task, "disk", task.unwritable)
        if code >= 0:
            failure = self._failure(task, "error", f"the process ended with code {code}")
            last = failure.traceback.rsplit("\n", 1)[-1]
            reason = failure.reason + (f": {last[:300]}" if last else "")
            return failure.model_copy(update={"reason": reason})
        name = signal_name(-code)
        if -code in {signal.SIGKILL, signal.SIGTERM}:
            hint = self._memory_hint() if -code == signal.SIGKILL else ""
            return self._failure(task, "killed", f"the process was killed by {name}{hint}")
        return self._failure(task, "error", f"the process crashed with {name}")

    def _memory_hint(self) -> str:
        before, self.kernel_kills = self.kernel_kills, kernel_kills()
        if before is None or self.kernel_kills is None:
            return " (out of memory?)"
        if self.kernel_kills > before:
            return " (the kernel ran out of memory)"
        return ""

    def _failure(self, task: _Task, kind: Any, reason: str) -> Failure:
        log = tail(self.store.unfinished(task.job.key) / "log")
        return Failure(kind=kind, reason=reason, traceback=log, step=task.step)
