"""What a board shows of a record, without its episodes and ingredients.

A hundred thousand of them fit into memory; what only a single run's page needs is kept as JSON and
read on request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from zoo_leaderboard.fingerprint import digest
from zoo_leaderboard.result import Cell, Evaluation, Record, ReferenceScores, Result
from zoo_leaderboard.stats import mean

LAST_EVALUATIONS = 3
"""How many of the last evaluations `RunSummary.last` covers."""


class Details(Record):
    """The part of a summary that statistics do not need."""

    curve: tuple[tuple[int, float], ...] = ()
    """(step, score) of every evaluation of the headline act."""
    acts: dict[str, float] = Field(default_factory=dict)
    """The score at the last step of every named act, the headline first."""
    metrics: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The training's last metrics by stage and name."""
    diagnostics: dict[str, float] = Field(default_factory=dict)
    """Of the last evaluation that has them."""
    machine: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One finished or failed run."""

    key: str
    track: str
    place: Cell
    """Its cell with seed 0, one object for all seeds."""
    seed: int
    """Of the training."""
    conditions: str
    """The hash of all ingredients but the seed: equal for the runs of a cell that hold together."""
    status: Literal["finished", "failed"]
    act: str
    """The headline way of acting."""
    total_steps: int
    finished_at: str
    name: str
    """The record's place in the store."""
    score: float | None = None
    """Of the last checkpoint: normalised, or the raw return without reference scores."""
    last: float | None = None
    """The mean score of the last three evaluations after the one before training."""
    best: float | None = None
    """The best evaluation's: what choosing the checkpoint by its score would have shown."""
    episode_return: float | None = None
    """The mean raw return of the last evaluation."""
    reference: ReferenceScores | None = None
    external: bool = False
    failure_kind: str = ""
    reason: str = ""
    """Why there is no score, in one line."""
    alarm: str = ""
    """What the last diagnostics warn of, in one line."""
    seconds_training: float = 0.0
    seconds_evaluation: float = 0.0
    seconds_setup: float = 0.0
    attempts: int = 1
    parameters: int | None = None
    """Of all parts, without their averages."""
    peak_memory: int | None = None
    """Bytes: the most that the run's process held at once."""
    peak_device_memory: int | None = None
    """Bytes: the most that tensors held at once on the accelerator; none on a CPU."""
    tuning_evaluations: int | None = None
    """Training runs on the dataset that the search for the settings spent; none where unknown."""
    updates_per_second: float | None = None
    """Training steps a second, without evaluations."""
    other_acts: int = 0
    """How many ways of acting but the headline were evaluated at the last step."""
    details_json: str = "{}"
    """`Details` as JSON."""

    @property
    def details(self) -> Details:
        """The rest, read from its JSON."""
        return Details.model_validate_json(self.details_json)

    @property
    def cell(self) -> Cell:
        """Its row, dataset and seed."""
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
        """Of the last evaluation that has them."""
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
    """What the board shows of a record.

    Args:
        result: The record.
        name: Its place in the store.
    """
    finished = result.status == "finished"
    curve = result.curve()
    trained = [score for step, score in curve if step > 0]
    details = Details(
        curve=tuple(curve),
        acts={e.act: result.scored(e) for e in _last_of_each_act(result)},
        metrics={measured.stage: measured.metrics for measured in result.last_metrics},
        machine=result.machine,
        diagnostics=result.diagnostics[-1].values if result.diagnostics else {},
        versions=result.versions,
    )
    final = [e for e in result.evaluations if e.act == result.act]
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
        score=result.score,
        last=mean(trained[-LAST_EVALUATIONS:]) if finished and trained else None,
        best=max(score for _, score in curve) if finished and curve else None,
        episode_return=final[-1].mean_return if finished and final else None,
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
        other_acts=len(details.acts.keys() - {result.act}),
        details_json=details.model_dump_json(),
    )


def conditions(result: Result) -> str:
    """The hash of everything that decides a run but its seed."""
    return digest(result.ingredients.model_dump(mode="json", exclude={"seed"}))


def _last_of_each_act(result: Result) -> list[Evaluation]:
    last = [e for e in result.evaluations if e.step == result.total_steps]
    return sorted(last, key=lambda e: e.act != result.act)
