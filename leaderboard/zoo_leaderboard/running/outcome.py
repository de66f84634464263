"""The record of a job, finished or failed."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import Failure, Result
from zoo_leaderboard.running.machine import machine
from zoo_leaderboard.running.run import EVALUATIONS, Run, Saved, headline_of
from zoo_leaderboard.running.versions import versions


def finished(run: Run) -> Result:
    """The record of a job that ran to its end."""
    return Result(
        **_described(run.job),
        status="finished",
        act=headline_of(run.recipe),
        evaluations=tuple(run.evaluations),
        training=tuple(run.training),
        diagnostics=tuple(run.diagnostics),
        held_out=tuple(run.held_out),
        reference=run.reference,
        score=run.last_score(),
        times=run.spent(finished_at=_now()),
        **run.costs.with_peaks(run.job.device).model_dump(),
    )


def failed(job: Job, failure: Failure, work: Path | None = None) -> Result:
    """The record of a job that has no score.

    Args:
        job: The job.
        failure: Why.
        work: Its folder, from which the evaluations that it did make are kept.
    """
    saved = Saved()
    if work is not None:
        with contextlib.suppress(OSError, ValidationError):
            saved = Saved.model_validate_json((work / EVALUATIONS).read_bytes())
    return Result(
        **_described(job),
        status="failed",
        act=saved.evaluations[0].act if saved.evaluations else "",
        evaluations=saved.evaluations,
        training=saved.training,
        diagnostics=saved.diagnostics,
        held_out=saved.held_out,
        failure=failure,
        times=saved.times.model_copy(update={"finished_at": _now()}),
        **saved.costs.model_dump(),
    )


def _described(job: Job) -> dict[str, Any]:
    """Fields of a record that describe its job and this machine, finished or failed."""
    return {
        "key": job.key,
        "track": job.track,
        "cell": job.cell,
        "ingredients": job.ingredients,
        "total_steps": job.total_steps,
        "external": job.external,
        "tuning_evaluations": job.tuning_evaluations,
        "machine": machine(job.device),
        "versions": versions(job.cell.algorithm, environment=job.ingredients.environment),
    }


def _now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
