"""A job under way: its evaluations, times, files and progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from zoo_core import OfflineData, Recipe, Trainer
from zoo_core.terminal import warn
from zoo_core.training import Preparing
from zoo_leaderboard import datasets
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import (
    Diagnosed,
    Evaluation,
    HeldOut,
    Measured,
    Record,
    ReferenceScores,
    Times,
)
from zoo_leaderboard.running.costs import Costs
from zoo_leaderboard.running.evaluation import Act, Evaluator
from zoo_leaderboard.running.tracking import Trackers
from zoo_leaderboard.store import write_atomically

TRACKED_SECONDS = 5.0
"""Between calls of trackers, in addition to evaluations and the ends of stages."""

REPORT_SECONDS = 0.5
"""Between progress reports; the steps between are measured, never part of the result."""

CHECKPOINT = "checkpoint.pt"

EVALUATIONS = "evaluations.json"
"""The files of a job that is not done, in its folder."""


class Place(NamedTuple):
    """The paths of a job's files."""

    agent: Path
    """The policy at its last step."""
    work: Path
    """A folder for the checkpoint and the evaluations so far."""
    trackers: Path | None = None
    """A folder that holds one for each tracker. If None, nothing is tracked."""
    path: str = ""
    """The run's place in a tracker's folder."""


class Progress(Record):
    """Progress of a job; without `metrics`, small enough for one atomic write to a pipe."""

    step: int = 0
    total_steps: int = 0
    steps_per_second: float = 0.0
    loss: float | None = None
    """The first term's."""
    score: float | None = None
    """Score of the last evaluation."""
    error: float | None = None
    """Action error on the held-out episodes, where there is no environment."""
    resumed: bool = False
    preparing: str = ""
    """The stage whose columns are being drawn, while no step is done."""
    prepared: float = 0.0
    """The share of them that is done."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Means over the last steps."""


Report = Callable[[Progress], None]


class Saved(Record):
    """State of a resumed job, in addition to its checkpoint."""

    evaluations: tuple[Evaluation, ...] = ()
    training: tuple[Measured, ...] = ()
    diagnostics: tuple[Diagnosed, ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    costs: Costs = Costs()
    times: Times = Times(attempts=0)
    times_at: dict[int, Times] = Field(default_factory=dict)
    """The times by step, of the checkpoint that is there and of the one that is written next: a
    process may be killed between the two files."""


@dataclass
class Run:
    """A job under way."""

    job: Job
    place: Place
    report: Report
    recipe: Recipe
    dataset: datasets.Dataset
    data: OfflineData
    """Episodes to train on: all of the dataset, or those that are not held out."""
    held_out_data: OfflineData | None
    evaluations: list[Evaluation]
    times: dict[str, float]
    attempts: int
    progress: Progress
    trackers: Trackers
    training: list[Measured] = field(default_factory=list)
    diagnostics: list[Diagnosed] = field(default_factory=list)
    held_out: list[HeldOut] = field(default_factory=list)
    costs: Costs = field(default_factory=Costs)
    times_at: dict[int, Times] = field(default_factory=dict)
    saved_at: float = field(default_factory=time.perf_counter)
    reported_at: float = 0.0
    tracked_at: float = 0.0

    @property
    def reference(self) -> ReferenceScores | None:
        """The dataset's reference scores, if there are any."""
        return reference_of(self.dataset)

    def update(self, **changes: Any) -> None:
        """Changes fields of the progress and reports it."""
        self.progress = self.progress.model_copy(update=changes)
        self.report(self.progress)
        self.reported_at = time.perf_counter()

    def prepare(self, now: Preparing) -> None:
        """Reports the progress of a stage's columns, now and then."""
        if not self.progress.preparing or time.perf_counter() - self.reported_at >= REPORT_SECONDS:
            self.update(step=now.step, preparing=now.stage, prepared=now.share)

    def save(self, trainer: Trainer) -> None:
        """Writes the evaluations, then the checkpoint."""
        at = trainer.step
        self.times_at = {**self.times_at, at: self.spent()}
        self.save_evaluations()
        trainer.save(self.place.work / CHECKPOINT)
        self.times_at = {at: self.times_at[at]}
        self.saved_at = time.perf_counter()

    def spent(self, **more: str) -> Times:
        """The times so far."""
        return Times(**self.times, attempts=self.attempts, **more)

    def save_evaluations(self) -> None:
        """Writes all that a resumed job needs in addition to its checkpoint."""
        saved = Saved(
            evaluations=tuple(self.evaluations),
            training=tuple(self.training),
            diagnostics=tuple(self.diagnostics),
            held_out=tuple(self.held_out),
            costs=self.costs.with_peaks(self.job.device),
            times=self.spent(),
            times_at=self.times_at,
        )
        write_atomically(self.place.work / EVALUATIONS, saved.model_dump_json())

    def evaluate(self, evaluator: Evaluator, act: Act, name: str, step: int) -> None:
        """Evaluates the act called `name` and keeps the returns."""
        episodes = evaluator(act)
        self.times["evaluation"] += episodes.seconds
        if episodes.note and episodes.note not in {each.note for each in self.evaluations}:
            warn(episodes.note)
        found = Evaluation(step=step, act=name, **episodes._asdict())
        self.evaluations.append(found)
        self.trackers.scalars(step, self._curves(found))

    def _curves(self, found: Evaluation) -> dict[str, float]:
        """An evaluation's points, by the names of their curves."""
        mean = found.mean_return
        score = mean if self.reference is None else self.reference.normalized(mean)
        length = sum(found.lengths) / len(found.lengths)
        prefix = "evaluation"
        if found.act != headline_of(self.recipe):
            prefix += f"/{found.act}"
        return {f"{prefix}/score": score, f"{prefix}/return": mean, f"{prefix}/length": length}

    def track(self, goal: bool) -> None:
        """Logs the last steps to the trackers: at a goal, and else now and then."""
        now = time.perf_counter()
        if not goal and now - self.tracked_at < TRACKED_SECONDS:
            return
        self.tracked_at = now
        scalars = {f"train/{name}": value for name, value in self.progress.metrics.items()}
        scalars["train/steps_per_second"] = self.progress.steps_per_second
        self.trackers.scalars(self.progress.step, scalars)

    def diagnose(self, look: Callable[[], Diagnosed]) -> None:
        """Keeps a diagnosis; its time counts with the evaluations."""
        began = time.perf_counter()
        found = look()
        self.diagnostics.append(found)
        self.times["evaluation"] += time.perf_counter() - began
        curves = {f"diagnostics/{name}": value for name, value in found.values.items()}
        self.trackers.scalars(found.step, curves)

    def hold_out(self, error: Callable[[OfflineData], HeldOut]) -> None:
        """Keeps an error on the held-out episodes, if there are any."""
        if self.held_out_data is None:
            return
        began = time.perf_counter()
        found = error(self.held_out_data)
        self.times["evaluation"] += time.perf_counter() - began
        self.held_out.append(found)
        prefix = "held_out" if found.act == headline_of(self.recipe) else f"held_out/{found.act}"
        curves = {"action_error": found.action_error, "cloning_error": found.cloning_error}
        self.trackers.scalars(
            found.step,
            {f"{prefix}/{name}": value for name, value in curves.items() if value is not None},
        )

    def last_score(self) -> float | None:
        """The score of the last evaluation of the headline act; None without an environment."""
        headline = headline_of(self.recipe)
        for found in reversed(self.evaluations):
            if found.act == headline:
                mean = found.mean_return
                return mean if self.reference is None else self.reference.normalized(mean)
        return None

    def last_error(self) -> float | None:
        """The last action error of the headline act on the held-out episodes, if there are any."""
        headline = headline_of(self.recipe)
        errors = (found.action_error for found in reversed(self.held_out) if found.act == headline)
        return next(errors, None)


def headline_of(recipe: Recipe) -> str:
    """The name of the act that is ranked; an external learner's policy is called `policy`."""
    return "policy" if recipe.external else recipe.acts[0].name


def reference_of(dataset: datasets.Dataset) -> ReferenceScores | None:
    """A dataset's reference scores as a record."""
    found = dataset.reference
    if found is None:
        return None
    return ReferenceScores(min=found.min, max=found.max, source=found.source)


def forget(work: Path) -> None:
    """Removes the checkpoint and the evaluations of a job that is to start from scratch."""
    for name in (CHECKPOINT, EVALUATIONS):
        (work / name).unlink(missing_ok=True)
