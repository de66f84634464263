"""Runs a plan's missing jobs on a Ray cluster: one task a job, the local engine inside of it.

A task runs its job as `zoo_leaderboard.running.runner` does on any machine, in a separate process
below the task's, so that crashes, limits and failures are recorded the same way by the node. What
the driver adds is the death of workers and nodes: their jobs are submitted again, and go on from
their checkpoints where the nodes share the disk that holds unfinished work. Results reach the
store from the node. The driver holds nothing that the store does not have: when it dies its tasks
die with it, and the next run resumes them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from zoo_core.errors import ZooError
from zoo_leaderboard.planning import Job, Tell
from zoo_leaderboard.result import Failure, Result
from zoo_leaderboard.running.limits import Limits
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.running.run import Progress
from zoo_leaderboard.running.runner import (
    Orders,
    Summary,
    Wanted,
    leave_failure,
    repeated,
    run_here,
)
from zoo_leaderboard.store import Store

if TYPE_CHECKING:
    from types import ModuleType

WAIT_SECONDS = 0.5
"""Seconds between checks of the tasks."""
KNOCK_SECONDS = 20.0
"""Seconds within which a cluster must answer."""
VISIBLE_SECONDS = 60.0
"""Maximum seconds until files that one machine wrote to a shared disk are visible to the others."""
FORWARDED = ("ZOO_", "MINARI_")
"""The beginnings of the variables that the nodes get from the driver. Credentials are not among
them: they are the nodes' own affair."""


@dataclass(frozen=True)
class Ray:
    """A Ray cluster, and what each job takes of it.

    The extra `ray` of zoo-leaderboard is needed here, and on the nodes the same plugins and data.
    """

    address: str | None = None
    """Address for `ray.init`. Default: `$RAY_ADDRESS`, else this machine's cluster, else a new
    one on this machine."""
    cpus: float | None = None
    """Cores reserved per job. Default: its number of threads."""
    gpus: float | None = None
    """Accelerators reserved per job, such as 0.25. Default: 1 if it trains on one."""
    tell: Tell = lambda line: None
    """Receives a message if no node has room for a job."""

    def run(self, wanted: Sequence[Wanted], orders: Orders) -> None:
        """Runs jobs, and adds what became of them to the summary.

        Raises:
            ZooError: Ray is not installed, the cluster cannot be reached, or a node does not see
                the store.
        """
        with self._connected() as ray:
            self._tell_of_room(ray, [job for job, _ in wanted])
            _Driver(ray, self, orders).run(wanted)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[ModuleType]:
        try:
            import ray
        except ImportError as error:
            raise ZooError("Ray is not installed: pip install 'zoo-leaderboard[ray]'") from error
        if ray.is_initialized():
            yield ray
            return
        # A cluster of this machine's own tells nobody of its use.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self.address or os.environ.get("RAY_ADDRESS")
        try:
            _knock(address or "")
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            where = address or "this machine"
            raise ZooError(f"cannot reach a Ray cluster at {where}: {reason}") from error
        try:
            yield ray
        finally:
            ray.shutdown()

    def needs(self, job: Job) -> dict[str, float]:
        """Resources that Ray reserves for a job."""
        accelerated = job.device.startswith("cuda")
        return {
            "num_cpus": job.threads if self.cpus is None else self.cpus,
            "num_gpus": float(accelerated) if self.gpus is None else self.gpus,
        }

    def _tell_of_room(self, ray: Any, jobs: Sequence[Job]) -> None:
        """A cluster may grow: jobs that no node has room for wait for one that has."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        for wanted in {tuple(self.needs(job).values()) for job in jobs}:
            cpus, gpus = wanted
            if not any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
                self.tell(
                    f"no node of the Ray cluster has {cpus:g} cores and {gpus:g} GPUs: "
                    "jobs wait until there is one"
                )


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at `host:port`: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()


@dataclass
class _Task:
    """A job on its way."""

    number: int
    job: Job
    seen: str
    kills: int = 0
    step: int = 0


class _Driver:
    def __init__(self, ray: Any, cluster: Ray, orders: Orders) -> None:
        self.ray, self.cluster = ray, cluster
        self.store, self.display, self.summary = orders.store, orders.display, orders.summary
        self.workers, self.limits = orders.workers, orders.limits
        self.pending: deque[_Task] = deque()
        self.submitted: dict[Any, _Task] = {}
        self.work = ray.remote(_work)
        self.mailbox = ray.remote(_Mailbox).options(num_cpus=0, max_restarts=-1).remote()
        self.environment = {k: v for k, v in os.environ.items() if k.startswith(FORWARDED)}

    def run(self, wanted: Sequence[Wanted]) -> None:
        self.pending.extend(_Task(number, *item) for number, item in enumerate(wanted))
        try:
            while self.pending or self.submitted:
                self._submit()
                ready, _ = self.ray.wait(list(self.submitted), timeout=WAIT_SECONDS)
                self._tell_progress()
                for reference in ready:
                    self._ended(self.submitted.pop(reference), reference)
                self.display.tick()
        finally:
            # Whatever stops the driver stops its jobs: they leave no record and go on next time.
            for reference in self.submitted:
                self.ray.cancel(reference, force=True)

    def _submit(self) -> None:
        while self.pending and (self.workers is None or len(self.submitted) < self.workers):
            task = self.pending.popleft()
            needs = self.cluster.needs(task.job)
            # Deaths are counted here, and reported: none of Ray's own retries.
            work = self.work.options(max_retries=0, name=str(task.job.cell), **needs)
            reference = work.remote(
                task.number,
                task.job.model_dump(mode="json"),
                task.seen,
                self.store.identity,
                self.limits,
                self.environment,
                self.mailbox,
            )
            self.submitted[reference] = task

    def _tell_progress(self) -> None:
        tasks = {task.number: task for task in self.submitted.values()}
        # What the mailbox's own node took with it when it died was only for show.
        with contextlib.suppress(self.ray.exceptions.RayError):
            for number, told in self.ray.get(self.mailbox.take.remote(), timeout=10):
                if number not in tasks:
                    continue
                task = tasks[number]
                if told is None:
                    self.display.started(task.job)
                    continue
                progress = Progress.model_construct(**told)
                task.step = progress.step
                self.display.progress(task.job, progress)

    def _ended(self, task: _Task, reference: Any) -> None:
        try:
            self._over(task, Result.model_validate_json(self.ray.get(reference)))
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ZooError):
                raise error.cause from None
            raise
        except self.ray.exceptions.RayError as error:
            self._died(task, error)

    def _died(self, task: _Task, error: Exception) -> None:
        """The task's worker or node is gone: it is submitted again, or recorded."""
        task.kills += 1
        lost = type(error).__name__.removesuffix("Error")
        reason = f"the job's worker or node died ({lost})"
        if task.kills <= self.limits.retries:
            self.display.retried(task.job, reason)
            self.pending.appendleft(task)
            return
        failure = Failure(kind="killed", reason=reason, step=task.step)
        failure = repeated(failure, task.kills)
        result = leave_failure(self.store, task.job, task.seen, failure)
        if result is None:
            # Another runner has it now, or the dead node's process is not dead yet.
            self.pending.append(task)
        else:
            self._over(task, result)

    def _over(self, task: _Task, result: Result) -> None:
        self.summary.add(task.job, result)
        self.display.finished(task.job, result)


class _Mailbox:
    """An actor that holds what the tasks tell until the driver takes it."""

    def __init__(self) -> None:
        self._letters: list[tuple[int, dict[str, Any] | None]] = []

    def put(self, number: int, told: dict[str, Any] | None) -> None:
        """Adds a task's progress; None if the task has just begun."""
        self._letters.append((number, told))

    def take(self) -> list[tuple[int, dict[str, Any] | None]]:
        """Progress received since the last call."""
        letters, self._letters = self._letters, []
        return letters


class _Teller(Display):
    """Sends what the local engine shows of its one job to the driver."""

    def __init__(self, number: int, mailbox: Any) -> None:
        self.number, self.mailbox = number, mailbox
        self.result: Result | None = None

    @override
    def started(self, job: Job) -> None:
        self.mailbox.put.remote(self.number, None)

    @override
    def progress(self, job: Job, progress: Progress) -> None:
        self.mailbox.put.remote(self.number, vars(progress))

    @override
    def finished(self, job: Job, result: Result) -> None:
        self.result = result


def _work(
    number: int,
    job: dict[str, Any],
    seen: str,
    store: str,
    limits: Limits,
    environment: dict[str, str],
    mailbox: Any,
) -> str:
    """A task, on its node: runs a job with the local engine and gives its record as JSON.

    Raises:
        ZooError: the node does not see the store, or cannot write to it.
    """
    os.environ.update(environment)
    place, task = Store(store), Job.model_validate(job)
    _check_seen(place, task)
    told = _Teller(number, mailbox)
    run_here([Wanted(task, seen)], Orders(place, told, Summary(), 1, limits))
    assert told.result is not None
    return told.result.model_dump_json()


def _check_seen(store: Store, job: Job) -> None:
    """Raises ZooError where a folder is not the driver's, who noted the job in the plan."""
    if store.files.folder is None:
        return
    deadline = time.monotonic() + VISIBLE_SECONDS
    while store.planned(job.track).get(job.cell) != job.key:
        if time.monotonic() > deadline:
            raise ZooError(
                f"the node {os.uname().nodename} does not see the store {store}: choose one on a "
                "disk that all nodes mount, or at a URL such as s3://bucket/runs"
            )
        time.sleep(1.0)
