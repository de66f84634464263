"""Runs a plan's missing jobs on this machine, one process each, whatever happens to them.

A job that fails, crashes or is killed costs its own cell and nothing else. The runner keeps no
state of its own: results, checkpoints and locks are files, so that it can be killed at any moment
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
from typing import Any

from zoo_core.errors import ZooError
from zoo_leaderboard.planning import Job, Planned
from zoo_leaderboard.result import Failure, Result
from zoo_leaderboard.running.execution import Progress, failed
from zoo_leaderboard.running.forkserver import ForkServer
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.running.worker import BUSY, tail
from zoo_leaderboard.store import Store

BUSY_SECONDS = 1.0
"""Between looks at a job that another runner has."""
SERVER_DEATHS = 3
"""How often the fork server itself may die (out of memory, say) before the runner gives up."""


@dataclass
class Summary:
    """What a run did."""

    finished: int = 0
    """Jobs that this run finished."""
    already: int = 0
    """Jobs that were finished before."""
    failures: list[tuple[Job, str]] = field(default_factory=list)
    """Planned jobs without a score, each with its reason; those of earlier runs too."""

    @property
    def ok(self) -> bool:
        """Whether every planned job has a score."""
        return not self.failures


@dataclass
class _Running:
    job: Job
    started: float | None = None
    """When its process began; none while the fork server is still loading."""
    step: int = 0
    timed_out: bool = False


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def to_run(planned: Iterable[Planned], retry_failed: bool = False) -> list[Job]:
    """The jobs that a run starts: those without a result, those whose process was killed, and on
    request those that failed or whose record is damaged."""
    return [
        p.job
        for p in planned
        if p.state == "missing" or p.retry or (retry_failed and p.state in {"failed", "damaged"})
    ]


def run_planned(
    planned: Sequence[Planned],
    store: Store,
    display: Display,
    *,
    workers: int | None = None,
    retry_failed: bool = False,
    time_limit: float | None = None,
) -> Summary:
    """Runs what is missing and waits for it.

    Args:
        planned: From `zoo_leaderboard.planning.review`.
        store: Where results go.
        display: Told of everything.
        workers: Processes at a time; none for as many as fit the cores.
        retry_failed: Whether failed and damaged cells are run again.
        time_limit: Seconds after which a job is ended; its cell is then failed.

    Raises:
        ZooError: the store cannot be written, or the fork server keeps dying.
    """
    jobs = to_run(planned, retry_failed)
    chosen = {job.key for job in jobs}
    left = [p for p in planned if p.job.key not in chosen]
    summary = Summary(
        already=sum(p.state == "finished" for p in left),
        failures=[(p.job, p.note) for p in left if p.state != "finished"],
    )
    if jobs:
        store.check_writable()
        threads = max(job.threads for job in jobs)
        count = workers or max(1, usable_cores() // threads)
        _Runner(jobs, store, display, summary, count, time_limit).run(threads)
    return summary


class _Runner:
    def __init__(
        self,
        jobs: Sequence[Job],
        store: Store,
        display: Display,
        summary: Summary,
        workers: int,
        time_limit: float | None,
    ) -> None:
        self.pending = deque(enumerate(jobs))
        self.busy: list[tuple[float, int, Job]] = []
        self.running: dict[int, _Running] = {}
        self.store, self.display, self.summary = store, display, summary
        self.workers, self.time_limit = workers, time_limit

    def run(self, threads: int) -> None:
        deaths = 0
        while self.pending or self.busy or self.running:
            try:
                with ForkServer(threads) as server:
                    self._serve(server)
            except (RuntimeError, BrokenPipeError) as error:
                deaths += 1
                if deaths > SERVER_DEATHS:
                    raise ZooError(f"cannot run jobs: {error}") from error
                # Its children died with it; they go on from their checkpoints.
                for number, running in self.running.items():
                    self.pending.appendleft((number, running.job))
                self.running.clear()

    def _serve(self, server: ForkServer) -> None:
        while self.pending or self.busy or self.running:
            self._wake_busy()
            while self.pending and len(self.running) < self.workers:
                number, job = self.pending.popleft()
                work = str(self.store.unfinished(job.key))
                server.start(number, job.model_dump(mode="json"), str(self.store.root), work)
                self.running[number] = _Running(job)
                self.display.started(job)
            for event in server.events(0.2):
                self._handle(event)
            self._enforce_limit(server)
            self.display.tick()

    def _wake_busy(self) -> None:
        now = time.monotonic()
        for entry in [entry for entry in self.busy if entry[0] <= now]:
            self.busy.remove(entry)
            self.pending.append(entry[1:])

    def _enforce_limit(self, server: ForkServer) -> None:
        if self.time_limit is None:
            return
        for number, running in self.running.items():
            began = running.started
            if running.timed_out or began is None:
                continue
            if time.monotonic() - began > self.time_limit:
                running.timed_out = True
                server.kill(number)

    def _handle(self, event: dict[str, Any]) -> None:
        number = event.pop("id", None)
        if number not in self.running:
            return
        kind = event.pop("event")
        running = self.running[number]
        if kind == "started":
            running.started = time.monotonic()
        elif kind == "progress":
            progress = Progress.model_construct(**event)
            running.step = progress.step
            self.display.progress(running.job, progress)
        elif kind == "exit":
            del self.running[number]
            self._ended(number, running, event["code"])

    def _ended(self, number: int, running: _Running, code: int) -> None:
        job = running.job
        if code == BUSY:
            self.busy.append((time.monotonic() + BUSY_SECONDS, number, job))
            self.display.waiting(job)
            return
        # A worker may be killed in the moment after it left its record.
        result = self.store.get(job.cell, job.key)
        if not isinstance(result, Result) or (code < 0 and result.status == "failed"):
            result = failed(job, self._explain(running, code), self.store.unfinished(job.key))
            with contextlib.suppress(ZooError):
                self.store.put(result)
        if result.failure is None:
            self.summary.finished += 1
        else:
            self.summary.failures.append((job, result.failure.reason))
        self.display.finished(job, result)

    def _explain(self, running: _Running, code: int) -> Failure:
        """Why a process ended without a record."""
        log = tail(self.store.unfinished(running.job.key) / "log")
        if running.timed_out:
            reason = f"over the time limit of {self.time_limit:g} s"
            return Failure(kind="timeout", reason=reason, traceback=log, step=running.step)
        if code >= 0:
            last = log.rsplit("\n", 1)[-1]
            reason = f"the process ended with code {code}" + (f": {last[:300]}" if last else "")
            return Failure(kind="error", reason=reason, traceback=log, step=running.step)
        name = signal.Signals(-code).name
        if -code in {signal.SIGKILL, signal.SIGTERM}:
            hint = " (out of memory?)" if -code == signal.SIGKILL else ""
            reason = f"the process was killed by {name}{hint}"
            return Failure(kind="killed", reason=reason, traceback=log, step=running.step)
        reason = f"the process crashed with {name}"
        return Failure(kind="error", reason=reason, traceback=log, step=running.step)
