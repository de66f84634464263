"""The states of a plan's jobs in a store: finished, failed, damaged, or missing and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from zoo_leaderboard.board.index import summaries
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import Result, RunId
from zoo_leaderboard.store import Damaged, Store, Unreadable

OUTSIDE = frozenset({"killed", "disk"})
"""Kinds of failures with a cause outside the job, which the next run retries."""


@dataclass(frozen=True)
class Planned:
    """A job and its state in the store."""

    job: Job
    state: Literal["finished", "failed", "damaged", "unreadable", "missing"]
    note: str = ""
    """The reason of a failure or damage, or the changes since a stale result."""
    retry: bool = False
    """Whether the cause of a failure lies outside the job, so that it is retried."""


def each_run(planned: Iterable[Planned]) -> list[Planned]:
    """The first job of each run: cells of rows with equal settings share one."""
    first: dict[RunId, Planned] = {}
    for item in planned:
        first.setdefault(item.job.run, item)
    return list(first.values())


def review(jobs: Iterable[Job], store: Store) -> list[Planned]:
    """The state of each job in the store."""
    kept = _Kept(store)
    return [kept.review(job) for job in jobs]


class _Kept:
    """A snapshot of a store's records."""

    def __init__(self, store: Store) -> None:
        self.store = store
        runs, damaged = summaries(store) if store.files.exists() else ([], [])
        # If a run has two records, the finished one counts.
        self.runs = {run.id: run for run in sorted(runs, key=lambda run: run.status == "finished")}
        self.damaged = {problem.place: problem for problem in damaged}
        self.of_cell: dict[tuple[str, str, int], RunSummary] = {}
        for run in sorted(runs, key=lambda run: run.finished_at):
            self.of_cell[run.place.row, run.place.dataset, run.seed] = run
        self._changed: dict[tuple[str, str, str], str] = {}

    def review(self, job: Job) -> Planned:
        run = self.runs.get(job.run)
        if run is None:
            problem = self._damage(job)
            if problem is not None:
                unread = isinstance(problem, Unreadable)
                return Planned(job, "unreadable" if unread else "damaged", str(problem))
            return Planned(job, "missing", self._note(job))
        if run.status == "failed":
            return Planned(job, "failed", run.reason, run.failure_kind in OUTSIDE)
        return Planned(job, "finished")

    def _damage(self, job: Job) -> Damaged | None:
        """The damage of the job's record; None if it has no damaged record."""
        names = self.store.names(job.cell, job.key) if self.damaged else []
        places = map(self.store.files.full, names)
        return next((self.damaged[place] for place in places if place in self.damaged), None)

    def _note(self, job: Job) -> str:
        """A note on a missing job: its checkpoint or a stale result; empty if it is new."""
        notes = []
        if (self.store.unfinished(job.key) / "checkpoint.pt").exists():
            notes.append("continues from its checkpoint")
        stale = self.of_cell.get((job.cell.row, job.cell.dataset, job.cell.seed))
        if stale is not None:
            notes.append(f"stale result: {self._what_changed(stale, job)} changed")
        return ", ".join(notes)

    def _what_changed(self, stale: RunSummary, job: Job) -> str:
        """The changes since a stale result, computed once for all seeds of a cell."""
        place = job.cell.row, job.cell.dataset, stale.conditions
        if place not in self._changed:
            record = self.store.read(stale.name)
            changed = (
                record.ingredients.differences(job.ingredients)
                if isinstance(record, Result)
                else ["its file"]
            )
            self._changed[place] = "; ".join(changed[:3])
        return self._changed[place]
