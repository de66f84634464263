"""The record of one run, which can be read without the code that produced it."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from zoo_core.text import printable

SCHEMA = 1
"""Raised when a field changes its meaning; readers refuse a newer one."""

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
"""A number that databases and tables can hold."""


SINGLE = "train"
"""The track of runs outside of any track."""
NO_ENVIRONMENT = "none"
"""The environment of a dataset that names none."""
TRACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""The names that a track can have; each is a safe file name."""

Line = Annotated[str, AfterValidator(printable)]
"""A text that a plugin or another's record brings, to be shown in one line."""


class Record(BaseModel):
    """Base of all records: immutable; unknown fields of newer writers are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", use_attribute_docstrings=True, allow_inf_nan=False
    )


class Protocol(Record):
    """The evaluation protocol of a track. Part of a run's key: other values give other results."""

    episodes: int = Field(default=10, ge=1)
    """Episodes per evaluation, each in a separate copy of the environment."""
    evaluations: int = Field(default=10, ge=1, le=100)
    """Evaluations of the training, evenly spaced; the last is the score."""
    untrained: bool = True
    """Whether the curves begin with an evaluation before training."""
    seed: int = Field(default=1_000_000, ge=0)
    """Seed of the environments: copy i starts from seed + i, for every algorithm and every run."""
    episode_limit: int = Field(default=10_000, ge=1)
    """Steps after which an episode is cut. A longer time limit of the environment holds instead."""
    version: int = 2
    """Raised when the evaluation's code can change a score."""


class ReferenceScores(Record):
    """The returns that correspond to scores of 0 and 100."""

    min: float
    max: float
    source: str
    """Source of the two numbers."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.min == self.max:
            raise ValueError("both reference scores are the same")
        return self

    def normalized(self, value: float) -> float:
        """A return as a score: 0 at `min`, 100 at `max`."""
        return 100.0 * (value - self.min) / (self.max - self.min)


class Evaluation(Record):
    """One evaluation of one way of acting."""

    step: Count
    act: str
    returns: tuple[float, ...] = Field(min_length=1)
    """Every episode's undiscounted return, by environment copy."""
    lengths: tuple[Count, ...]
    """Every episode's steps."""
    seconds: float = 0.0
    note: Line = ""
    """One line on what is unusual, such as an environment that its seed does not determine; else
    empty."""

    @property
    def mean_return(self) -> float:
        """The mean of the episodes' returns."""
        return math.fsum(self.returns) / len(self.returns)


class Measured(Record):
    """The training's losses and other metrics just before an evaluation or the end of a stage."""

    step: Count
    """Steps done over all stages."""
    stage: str
    steps: Count
    """Number of steps that the means cover, up to this one."""
    metrics: dict[str, float]
    """Each metric's mean over those of the steps that have it, such as `critic/td`."""


class Diagnosed(Record):
    """Diagnostics of the agent on the data at an evaluation: see `zoo_core.diagnostics`.

    A number that does not exist is None: an algorithm without a critic has no Q.
    """

    step: Count
    act: str
    """The way of acting whose actions are compared: the headline."""
    q_data: float | None = None
    """Mean Q of stored actions."""
    q_policy: float | None = None
    """Mean Q of the policy's actions at the same observations."""
    q_low: float | None = None
    q_high: float | None = None
    """The range of Q that the rewards, as the critic sees them, allow."""
    action_distance: float | None = None
    """Mean over observations of the root mean square difference between the policy's and the stored
    action; 2 at most."""
    alarm: str = ""
    """One line where Q leaves its range, is not finite, or could not be looked at; else empty. It
    stops no run."""

    @property
    def values(self) -> dict[str, float]:
        """The numbers that there are, by name."""
        numbers = self.model_dump(exclude={"step", "act", "alarm"})
        return {name: value for name, value in numbers.items() if value is not None}


class HeldOut(Record):
    """Errors of one way of acting on episodes held out of training."""

    step: Count
    act: str
    episodes: Count
    """Episodes held out."""
    action_error: float
    """Mean over transitions of the root mean square difference between the policy's and the logged
    action, which are in [-1, 1]; 2 at most."""
    cloning_error: float | None = None
    """Mean of what behaviour cloning minimises for the act's sampler; None if it has no such."""


class Failure(Record):
    """The reason why a run has no score."""

    kind: Literal["diverged", "error", "killed", "timeout", "memory", "disk"]
    """A NaN or infinity; an exception; a process that died; a time limit; a memory limit; a file
    that could not be written."""
    reason: Line
    """The reason as the cell shows it."""
    traceback: str = ""
    step: Count = 0
    """The last step that was reported."""


class Ingredients(Record):
    """Everything that decides a run's outcome; its hash is the run's key."""

    sources: dict[str, str]
    """Hash by module or package of the code: the plugin's and that of the parts and losses used."""
    semantics: Count
    """`zoo_core.SEMANTICS`."""
    config: dict[str, Any]
    """Every setting's resolved value by path."""
    dataset: str
    """Dataset id or expression."""
    dataset_digest: str
    """Hash of the dataset's contents."""
    environment: str
    """The environment's id with its version, such as `Hopper-v5`."""
    protocol: Protocol
    seed: Count

    def differences(self, now: Ingredients) -> list[str]:
        """The changes from these ingredients to `now`, each in a few words."""
        found: list[str] = []
        changed = sorted(
            name
            for name in {*self.sources, *now.sources}
            if self.sources.get(name) != now.sources.get(name)
        )
        if changed:
            found.append(f"code of {', '.join(changed)}")
        if self.semantics != now.semantics:
            found.append(f"core semantics {self.semantics} -> {now.semantics}")
        for path in sorted({*self.config, *now.config}):
            was, value = self.config.get(path), now.config.get(path)
            if was != value:
                found.append(f"{path} {was} -> {value}")
        for label in ("dataset", "dataset_digest", "environment", "seed"):
            if getattr(self, label) != getattr(now, label):
                found.append(f"{label.replace('_', ' ')}")
        if self.protocol != now.protocol:
            found.append("evaluation protocol")
        return found


Variant = Literal["default", "tuned"]
"""`default`: one config for every dataset; `tuned`: the paper's values by dataset."""


class RunId(NamedTuple):
    """One run, which is the same for cells of rows with equal settings: each shows its result."""

    algorithm: str
    dataset: str
    seed: int
    key: str


class Cell(Record):
    """One place in the leaderboard: a row, a dataset and a seed."""

    algorithm: str
    variant: Variant = "default"
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings that the user made by hand, by path; they define a separate row."""
    dataset: str
    seed: Count

    @property
    def row(self) -> str:
        """The row's label: `td3_bc`, `td3_bc (tuned)`, `td3_bc (critic.hidden=64)`."""
        notes: list[str] = [] if self.variant == "default" else [self.variant]
        notes += [f"{path}={value}" for path, value in sorted(self.settings.items())]
        return self.algorithm + (f" ({', '.join(notes)})" if notes else "")

    def run(self, key: str) -> RunId:
        """The run of this cell with a key."""
        return RunId(self.algorithm, self.dataset, self.seed, key)

    def __str__(self) -> str:
        return f"{self.row} on {self.dataset}, seed {self.seed}"

    def __hash__(self) -> int:
        return hash((self.row, self.dataset, self.seed))


class Times(Record):
    """Seconds spent, over all attempts."""

    training: float = 0.0
    evaluation: float = 0.0
    setup: float = 0.0
    """Loading, building and resuming."""
    finished_at: str = ""
    """UTC, ISO 8601."""
    attempts: Count = 1
    """Processes that worked on the run; more than one where it was resumed."""


class Result(Record):
    """One finished or failed run."""

    schema_version: Count = SCHEMA
    key: str
    """The hash of `ingredients`."""
    track: str
    cell: Cell
    status: Literal["finished", "failed"]
    ingredients: Ingredients
    total_steps: Count
    """Training steps over all stages."""
    act: str = ""
    """The headline way of acting; the others are evaluated at the end only."""
    external: bool = False
    """Whether a learner outside the core trained it (`AlgorithmSpec.fit`)."""
    evaluations: tuple[Evaluation, ...] = ()
    """In order of steps; the headline first at the last step."""
    training: tuple[Measured, ...] = ()
    """The course of the metrics, in order of steps; empty in records of older versions."""
    diagnostics: tuple[Diagnosed, ...] = ()
    """One per evaluation of the headline; empty in records of older versions."""
    held_out: tuple[HeldOut, ...] = ()
    """In order of steps; only of a dataset without an environment that has several episodes."""
    reference: ReferenceScores | None = None
    """Reference scores; None if the dataset has none, so that scores are raw returns."""
    score: float | None = None
    """The last checkpoint's normalised score, or its raw return if there are no reference scores.
    It is None in a single run on a dataset without an environment."""
    failure: Failure | None = None
    times: Times = Times()
    parameters: Count | None = None
    """Parameters of all parts, without their averages; None if an external learner trained it."""
    peak_memory: Count | None = None
    """Peak memory of the run's process in bytes, with Python, torch and the data."""
    peak_device_memory: Count | None = None
    """Peak memory of tensors on the accelerator in bytes; None on a CPU."""
    tuning_evaluations: Count | None = None
    """Training runs on this dataset spent on tuning the row's settings; None if unknown."""
    machine: dict[str, str] = Field(default_factory=dict)
    """Hardware, device, threads and engine."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of every distribution involved."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.status == "failed" and self.failure is None:
            raise ValueError("a failed run without a reason")
        scoreless = self.track == SINGLE and self.ingredients.environment == NO_ENVIRONMENT
        unscored = self.score is None and not scoreless
        if self.status == "finished" and (self.failure is not None or unscored):
            raise ValueError("a finished run without a score, or with a failure")
        try:
            sound = all(math.isfinite(self.scored(e)) for e in self.evaluations)
        except OverflowError:
            sound = False
        if not sound:
            raise ValueError("an evaluation without a finite score")
        return self

    @property
    def last_metrics(self) -> tuple[Measured, ...]:
        """The last metrics of each stage, in the order of the stages."""
        return tuple({measured.stage: measured for measured in self.training}.values())

    @property
    def alarm(self) -> str:
        """Warnings about the last evaluation and its agent, in one line; else empty."""
        lines = [each.note for each in self.evaluations[-1:]]
        lines += [each.alarm for each in self.diagnostics[-1:]]
        return "; ".join(filter(None, lines))

    @property
    def updates_per_second(self) -> float | None:
        """Training steps per second, each a batch with all of its updates, without evaluations.

        None for an external learner and for a failed run, whose seconds may cover other steps.
        """
        if self.status == "failed" or self.external or self.times.training <= 0.0:
            return None
        return self.total_steps / self.times.training

    def curve(self, act: str | None = None) -> list[tuple[int, float]]:
        """(step, score) of every evaluation of a way of acting. Default: the headline."""
        wanted = act or self.act
        return [(e.step, self.scored(e)) for e in self.evaluations if e.act == wanted]

    def scored(self, evaluation: Evaluation) -> float:
        """An evaluation's normalised score, or its raw return without a reference."""
        value = evaluation.mean_return
        return value if self.reference is None else self.reference.normalized(value)
