"""Summaries of records for a board, without episodes and ingredients.

A hundred thousand of them fit into memory. Details for the page of a single run are kept as JSON
and parsed on request.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from zoo_leaderboard.fingerprint import digest
from zoo_leaderboard.result import Cell, Evaluation, Record, ReferenceScores, Result, RunId
from zoo_leaderboard.stats import mean

LAST_EVALUATIONS = 3
"""Number of evaluations that `RunSummary.last` averages."""


DECISIVE = ("torch", "gymnasium", "gymnasium-robotics", "mujoco")
"""The software whose version can change a score, and whose differences within a cell are named."""


class Details(Record):
    """The part of a summary that statistics do not need."""

    curve: tuple[tuple[int, float], ...] = ()
    """(step, value) of every evaluation of the headline act."""
    acts: dict[str, float] = Field(default_factory=dict)
    """The value at the last step of every named act, the headline first."""
    metrics: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The training's last metrics by stage and name."""
    diagnostics: dict[str, float] = Field(default_factory=dict)
    """Diagnostics of the last evaluation that has them."""
    machine: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)

    def scored(self, score: Callable[[float], float]) -> Details:
        """A copy with scores instead of mean returns."""
        curve = tuple((step, score(value)) for step, value in self.curve)
        acts = {act: score(value) for act, value in self.acts.items()}
        return self.model_copy(update={"curve": curve, "acts": acts})


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One finished or failed run.

    It holds mean returns, which `reference` converts to scores. So a board can put all runs of a
    dataset on one scale, regardless of the reference scores in their records.
    """

    key: str
    track: str
    place: Cell
    """The cell with seed 0, one object for all seeds."""
    seed: int
    """Seed of the training."""
    conditions: str
    """The hash of all ingredients but the seed: equal for comparable runs of a cell."""
    status: Literal["finished", "failed"]
    act: str
    """The headline way of acting."""
    total_steps: int
    finished_at: str
    name: str
    """The name of the record in the store."""
    episode_return: float | None = None
    """The mean return of the last evaluation of a finished run."""
    late_return: float | None = None
    """Average of the mean returns of the last three evaluations, except the untrained one."""
    lowest_return: float | None = None
    """The minimum of all evaluations' mean returns."""
    highest_return: float | None = None
    """The maximum of all evaluations' mean returns."""
    reference: ReferenceScores | None = None
    """The reference scores of the record, or of the board column that shows the run."""
    external: bool = False
    failure_kind: str = ""
    reason: str = ""
    """The reason why there is no score, in one line."""
    alarm: str = ""
    """The warning of the last diagnostics, in one line."""
    seconds_training: float = 0.0
    seconds_evaluation: float = 0.0
    seconds_setup: float = 0.0
    attempts: int = 1
    parameters: int | None = None
    """Number of parameters of all parts, without their averages."""
    peak_memory: int | None = None
    """Peak memory of the run's process, in bytes."""
    peak_device_memory: int | None = None
    """Peak memory of tensors on the accelerator, in bytes; None on a CPU."""
    tuning_evaluations: int | None = None
    """Training runs on the dataset spent on tuning the settings; None if unknown."""
    updates_per_second: float | None = None
    """Training steps per second, without evaluations."""
    software: str = ""
    """Versions of `DECISIVE`, such as `torch 2.13.0, gymnasium 1.2.2`."""
    other_acts: int = 0
    """Number of ways of acting evaluated at the last step, without the headline."""
    details_json: str = "{}"
    """`Details` as JSON, with mean returns."""

    def scored(self, mean_return: float) -> float:
        """A mean return as a score; unchanged without reference scores."""
        return mean_return if self.reference is None else self.reference.normalized(mean_return)

    @property
    def score(self) -> float | None:
        """The last checkpoint's normalised score, or its mean return without reference scores."""
        return None if self.episode_return is None else self.scored(self.episode_return)

    @property
    def last(self) -> float | None:
        """The mean score of the last three evaluations after the one before training."""
        return None if self.late_return is None else self.scored(self.late_return)

    @property
    def best(self) -> float | None:
        """The score of the best evaluation, as if the checkpoint had been chosen by it."""
        if self.lowest_return is None or self.highest_return is None:
            return None
        # A reference can rank low returns above high ones.
        return max(self.scored(self.lowest_return), self.scored(self.highest_return))

    @property
    def finite(self) -> bool:
        """Whether all scores are finite: a finite return can have a score that overflows."""
        return all(
            value is None or math.isfinite(self.scored(value))
            for value in (self.episode_return, self.lowest_return, self.highest_return)
        )

    @property
    def details(self) -> Details:
        """The details, parsed from JSON, with scores."""
        return Details.model_validate_json(self.details_json).scored(self.scored)

    @property
    def id(self) -> RunId:
        """The identity of the run."""
        return RunId(self.place.algorithm, self.place.dataset, self.seed, self.key)

    @property
    def cell(self) -> Cell:
        """The cell of the run: row, dataset and seed."""
        return self.place.model_copy(update={"seed": self.seed})

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """(step, score) of every evaluation of the headline act."""
        return self.details.curve

    @property
    def acts(self) -> dict[str, float]:
        """The score at the last step of every named act, the headline first."""
        return self.details.acts

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The training's last metrics by stage and name."""
        return self.details.metrics

    @property
    def diagnostics(self) -> dict[str, float]:
        """Diagnostics of the last evaluation that has them."""
        return self.details.diagnostics

    @property
    def machine(self) -> dict[str, str]:
        """Hardware, device, threads and engine."""
        return self.details.machine

    @property
    def versions(self) -> dict[str, str]:
        """Python's and every involved distribution's."""
        return self.details.versions

    @property
    def wall_seconds(self) -> float:
        """All that the run took: set-up, training and evaluation."""
        return self.seconds_setup + self.seconds_training + self.seconds_evaluation


def summarise(result: Result, name: str = "") -> RunSummary:
    """The summary of a record.

    Args:
        result: The record.
        name: Its place in the store.
    """
    finished = result.status == "finished"
    curve = [(e.step, e.mean_return) for e in result.evaluations if e.act == result.act]
    returns = [value for _, value in curve]
    trained = [value for step, value in curve if step > 0]
    final = returns[-1] if returns else _return_of(result)
    details = Details(
        curve=tuple(curve),
        acts={e.act: e.mean_return for e in _last_of_each_act(result)},
        metrics={measured.stage: measured.metrics for measured in result.last_metrics},
        machine=result.machine,
        diagnostics=result.diagnostics[-1].values if result.diagnostics else {},
        versions=result.versions,
    )
    return RunSummary(
        key=result.key,
        track=result.track,
        place=result.cell.model_copy(update={"seed": 0}),
        seed=result.cell.seed,
        conditions=conditions(result),
        status=result.status,
        act=result.act,
        total_steps=result.total_steps,
        finished_at=result.times.finished_at,
        name=name,
        episode_return=final if finished else None,
        late_return=mean(trained[-LAST_EVALUATIONS:]) if finished and trained else None,
        lowest_return=min(returns) if finished and returns else None,
        highest_return=max(returns) if finished and returns else None,
        reference=result.reference,
        external=result.external,
        failure_kind=result.failure.kind if result.failure else "",
        reason=result.failure.reason if result.failure else "",
        seconds_training=result.times.training,
        seconds_evaluation=result.times.evaluation,
        seconds_setup=result.times.setup,
        attempts=result.times.attempts,
        alarm=result.alarm,
        parameters=result.parameters,
        peak_memory=result.peak_memory,
        peak_device_memory=result.peak_device_memory,
        tuning_evaluations=result.tuning_evaluations,
        updates_per_second=result.updates_per_second,
        software=", ".join(f"{n} {result.versions[n]}" for n in DECISIVE if n in result.versions),
        other_acts=len(details.acts.keys() - {result.act}),
        details_json=details.model_dump_json(),
    )


def conditions(result: Result) -> str:
    """The hash of everything that decides a run but its seed."""
    return digest(result.ingredients.model_dump(mode="json", exclude={"seed"}))


def _return_of(result: Result) -> float | None:
    """The mean return of a record that has a score and no evaluation."""
    if result.score is None or result.reference is None:
        return result.score
    low, high = result.reference.min, result.reference.max
    return low + result.score / 100.0 * (high - low)


def _last_of_each_act(result: Result) -> list[Evaluation]:
    last = [e for e in result.evaluations if e.step == result.total_steps]
    return sorted(last, key=lambda e: e.act != result.act)
