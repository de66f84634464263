"""`zoo leaderboard verify`: makes a sample of finished runs again and compares."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo_core.errors import ZooError
from zoo_core.registry import Registry
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.planning import Job, Planner
from zoo_leaderboard.result import Cell, Result
from zoo_leaderboard.reviewing import review
from zoo_leaderboard.running.machine import machine
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.running.runner import run_planned
from zoo_leaderboard.running.versions import versions
from zoo_leaderboard.stats import mean, resolution, standard_deviation
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

Verdict = Literal["same", "within", "differs", "open", "failed"]

NOT_COMPARED = {"seconds", "note"}
"""Fields of an evaluation that no two runs share."""


@dataclass(frozen=True)
class Checked:
    """A run that was repeated."""

    run: RunSummary
    again: float | None
    """Score of the second run; None if it failed."""
    verdict: Verdict
    """`same`: bit for bit. `within`: inside the interval of the cell's seeds, on another machine.
    `differs`: neither. `open`: another machine, and too few seeds for an interval. `failed`."""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the run."""
        return self.verdict in {"same", "within", "open"}


def verify(
    track: Track | Path | str = "demo",
    store: Store | Path | str | None = None,
    *,
    sample: int = 3,
    seed: int = 0,
    workers: int | None = None,
    display: Display | None = None,
    registry: Registry | None = None,
) -> list[Checked]:
    """Makes a random sample of a track's finished runs again, in a store that is thrown away.

    On the machine and with the versions of the record every return of every evaluation and every
    metric must be equal, bit for bit. Elsewhere the new score must lie in the interval in which
    another seed's would lie with a probability of 95 % (Student's prediction interval of the
    cell's seeds).

    Args:
        track: A track, its name, or the path of its file.
        store: A store or its location. Default: `$ZOO_RUNS`, else `runs`.
        sample: Number of runs.
        seed: Seed of the sample.
        workers: Processes at a time. Default: as many as fit the cores.
        display: Receives progress events.
        registry: Registered names. Default: those of the installed plugins.

    Raises:
        ZooError: no finished run that holds.
    """
    board = load(store, track, registry=registry)
    # A run that stands in several rows is made again once.
    held = sorted({run.name: run for run in board.runs}.values(), key=lambda run: run.name)
    if not held:
        raise ZooError(f"track '{board.track.name}' has no finished run of the present code")
    chosen = random.Random(seed).sample(held, min(sample, len(held)))
    planner = Planner(board.track, registry)
    records = {run.name: board.record(run) for run in chosen}
    jobs = [_job(planner, run.cell, records[run.name]) for run in chosen]
    with tempfile.TemporaryDirectory(prefix="zoo-verify-") as folder:
        second = Store(Path(folder))
        run_planned(review(jobs, second), second, display or Display(), workers=workers)
        return [
            _checked(board, run, records[run.name], second.get(job.cell, job.key))
            for run, job in zip(chosen, jobs, strict=True)
        ]


def _job(planner: Planner, cell: Cell, record: Result) -> Job:
    device = record.machine.get("device", "cpu")
    threads = int(record.machine.get("threads", "1"))
    return planner.job(cell, device, threads)


def _checked(board: Board, run: RunSummary, first: Result, second: object) -> Checked:
    if not isinstance(second, Result) or second.score is None:
        failure = second.failure if isinstance(second, Result) else None
        return Checked(run, None, "failed", failure.reason if failure else "it left no record")
    if _measured(first) == _measured(second):
        return Checked(run, second.score, "same")
    elsewhere = _elsewhere(first)
    if not elsewhere:
        where = _first_difference(first, second)
        return Checked(run, second.score, "differs", f"same machine and versions; {where}")
    interval = prediction_interval(board.row(run.cell.row).entry(run.cell.dataset).scores)
    made = f"made with {elsewhere}"
    if interval is None:
        return Checked(run, second.score, "open", f"{made}; too few seeds for an interval")
    low, high = interval
    rounding = resolution([[low, high, second.score]])
    inside = low - rounding <= second.score <= high + rounding
    note = f"{made}; interval of the seeds {low:.1f} to {high:.1f}"
    return Checked(run, second.score, "within" if inside else "differs", note)


def prediction_interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """95 % prediction interval for the score of one more run, if scores are normal; None if there
    are fewer than two runs."""
    from scipy.stats import t

    n = len(scores)
    if n < 2:
        return None
    half = t.ppf(0.975, n - 1) * standard_deviation(scores) * math.sqrt(1.0 + 1.0 / n)
    return mean(scores) - half, mean(scores) + half


def _measured(result: Result) -> object:
    """All that a run of the same code on the same machine must repeat."""
    evaluations = [e.model_dump(exclude=NOT_COMPARED) for e in result.evaluations]
    return evaluations, [m.model_dump() for m in result.training]


def _elsewhere(record: Result) -> str:
    """Short list of differences between the record's machine and versions and the current ones."""
    here = {**machine(record.machine.get("device", "cpu")), "threads": record.machine["threads"]}
    told = [
        f"{name} {was}"
        for name, was in record.machine.items()
        if name in here and name != "cores" and here[name] != was
    ]
    installed = versions(record.cell.algorithm, environment=record.ingredients.environment)
    told += [f"{name} {was}" for name, was in record.versions.items() if installed.get(name) != was]
    return ", ".join(told)


def _first_difference(first: Result, second: Result) -> str:
    for one, two in zip(first.evaluations, second.evaluations, strict=False):
        if one.returns != two.returns or one.lengths != two.lengths:
            return (
                f"first other at step {one.step}, act '{one.act}': mean return "
                f"{one.mean_return:.6g} and {two.mean_return:.6g}"
            )
    if len(first.evaluations) != len(second.evaluations):
        return f"{len(first.evaluations)} evaluations and {len(second.evaluations)}"
    return "equal evaluations and other metrics of the training"
