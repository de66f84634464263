"""One job, in this process: train, evaluate, checkpoint, and the record of it.

The checkpoint and the evaluations so far are two files. The evaluations are written first, and
those later than the checkpoint are made again on resuming, so that a kill at any moment leaves a
consistent pair, and a resumed run equals an uninterrupted one. The times count like the
evaluations: those of steps that are made again are dropped.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import Field, ValidationError

from zoo_core import SEMANTICS, Agent, GeneratorNoise, OfflineData, Recipe, Trainer
from zoo_core import registry as registry_module
from zoo_core.diagnostics import diagnose_policy
from zoo_core.errors import BadCheckpoint, Diverged, ZooError
from zoo_core.noise import stream_seed
from zoo_core.registry import Registry
from zoo_core.terminal import warn
from zoo_core.training import Log, Preparing
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets.home import zoo_home
from zoo_leaderboard.fingerprint import edited, sources
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import (
    Diagnosed,
    Evaluation,
    Failure,
    HeldOut,
    Measured,
    Record,
    ReferenceScores,
    Result,
    Times,
)
from zoo_leaderboard.running.costs import Costs, parameters_of
from zoo_leaderboard.running.diagnosing import diagnosed, of_agent
from zoo_leaderboard.running.evaluation import Act, Evaluator, evaluation_steps
from zoo_leaderboard.running.holding_out import agent_error, policy_error, split
from zoo_leaderboard.running.tracking import Trackers
from zoo_leaderboard.running.versions import versions
from zoo_leaderboard.store import write_atomically

CHECKPOINT_SECONDS = 30.0
"""Between checkpoints, beside those at every evaluation."""
TRACKED_SECONDS = 5.0
"""Between what trackers are told, beside evaluations and the ends of stages."""
REPORT_SECONDS = 0.5
"""Between progress reports; the steps between are measured, never part of the result."""
MEASURED_STEPS = 100
"""Before an evaluation or the end of a stage, the steps over which the record's metrics are means.

Progress reports cover as many steps as the machine does in their time; these are always the same,
and no checkpoint is written between them, so that an interrupted run records the same numbers.
"""
CHECKPOINT = "checkpoint.pt"
EVALUATIONS = "evaluations.json"
"""The files of a job that is not done, in its folder."""


class Place(NamedTuple):
    """Where a job leaves its files."""

    agent: Path
    """The policy at its last step."""
    work: Path
    """A folder for the checkpoint and the evaluations so far."""
    trackers: Path | None = None
    """A folder that holds one for each tracker; none for no tracker."""
    path: str = ""
    """The run's place in a tracker's folder."""


class Progress(Record):
    """What a job is doing; without `metrics` small enough for one atomic write to a pipe."""

    step: int = 0
    total_steps: int = 0
    steps_per_second: float = 0.0
    loss: float | None = None
    """The first term's."""
    score: float | None = None
    """Of the last evaluation."""
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


class _Saved(Record):
    """What a resumed job needs beside its checkpoint."""

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
class _Run:
    """A job under way."""

    job: Job
    place: Place
    report: Report
    recipe: Recipe
    dataset: datasets.Dataset
    data: OfflineData
    """What it trains on: all of the dataset, or what is not held out."""
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
    told_at: float = 0.0
    tracked_at: float = 0.0

    @property
    def reference(self) -> ReferenceScores | None:
        return reference_of(self.dataset)

    def tell(self, **changes: Any) -> None:
        self.progress = self.progress.model_copy(update=changes)
        self.report(self.progress)
        self.told_at = time.perf_counter()

    def prepare(self, now: Preparing) -> None:
        """Tells how far a stage's columns are, now and then."""
        if not self.progress.preparing or time.perf_counter() - self.told_at >= REPORT_SECONDS:
            self.tell(step=now.step, preparing=now.stage, prepared=now.share)

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
        saved = _Saved(
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
        """Tells the trackers of the last steps: at a goal, and else now and then."""
        now = time.perf_counter()
        if not goal and now - self.tracked_at < TRACKED_SECONDS:
            return
        self.tracked_at = now
        told = {f"train/{name}": value for name, value in self.progress.metrics.items()}
        told["train/steps_per_second"] = self.progress.steps_per_second
        self.trackers.scalars(self.progress.step, told)

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

    def result(self) -> Result:
        job = self.job
        return Result(
            **_described(job),
            status="finished",
            act=headline_of(self.recipe),
            evaluations=tuple(self.evaluations),
            training=tuple(self.training),
            diagnostics=tuple(self.diagnostics),
            held_out=tuple(self.held_out),
            reference=self.reference,
            score=self.last_score(),
            times=self.spent(finished_at=now()),
            **self.costs.with_peaks(job.device).model_dump(),
        )


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def headline_of(recipe: Recipe) -> str:
    """The name of the act that is ranked; an external learner's policy is called `policy`."""
    return "policy" if recipe.external else recipe.acts[0].name


def reference_of(dataset: datasets.Dataset) -> ReferenceScores | None:
    """A dataset's reference scores as a record."""
    found = dataset.reference
    if found is None:
        return None
    return ReferenceScores(min=found.min, max=found.max, source=found.source)


def execute(
    job: Job,
    place: Place,
    report: Report = lambda progress: None,
    *,
    registry: Registry | None = None,
) -> Result:
    """Runs a job to its end, from its checkpoint where there is one.

    Raises:
        Diverged: a loss, a parameter or an action is no longer finite; names the step and the last
            good checkpoint, which stays in the job's folder.
        ZooError: the job's code or data are no longer what its key says, or it cannot run here.
    """
    started = time.perf_counter()
    registry = registry or registry_module.installed()
    torch.set_num_threads(job.threads)
    recipe = job.recipe(registry)
    _check_current(job, recipe, registry)
    dataset = datasets.find(job.cell.dataset)
    if dataset.data.digest != job.ingredients.dataset_digest:
        raise ZooError(f"dataset '{dataset.name}' changed since the plan was made; run again")
    # A score needs an environment; without one, errors on held-out episodes stand in for it.
    data, held_out = (dataset.data, None) if dataset.environment else split(dataset.data)
    run = _Run(
        job=job,
        place=place,
        report=report,
        recipe=recipe,
        dataset=dataset,
        data=data,
        held_out_data=held_out,
        evaluations=[],
        times={"training": 0.0, "evaluation": 0.0, "setup": 0.0},
        attempts=1,
        progress=Progress(total_steps=job.total_steps),
        trackers=Trackers(job, registry, place.trackers, place.path),
    )
    with (
        run.trackers,
        Evaluator(dataset.make_env, job.ingredients.protocol, job.device) as evaluator,
    ):
        if recipe.external:
            _external(run, evaluator, started)
        else:
            _train(run, evaluator, started)
    return run.result()


def _check_current(job: Job, recipe: Recipe, registry: Registry) -> None:
    """A result must not carry a key that its code does not have."""
    if sources(recipe, registry) != job.ingredients.sources:
        raise ZooError(f"the code of '{recipe.name}' changed since the plan was made; run again")
    if stale := edited(recipe, registry):
        raise ZooError(
            f"module {stale[0]} was edited after this process loaded it; start a new process"
        )
    if recipe.values() != job.ingredients.config:
        raise ZooError(f"the settings of '{recipe.name}' are not the plan's; run again")


def _train(run: _Run, evaluator: Evaluator, started: float) -> None:
    job, recipe = run.job, run.recipe
    trainer = _resumed(run) or Trainer(
        recipe,
        run.data,
        (job.cell.seed,),
        device=job.device,
        columns_dir=_columns_folder(job),
    )
    run.times["setup"] += time.perf_counter() - started
    run.costs = run.costs.model_copy(update={"parameters": parameters_of(trainer.agent())})
    run.tell(step=trainer.step, resumed=trainer.step > 0)
    run.trackers.start(trainer.step)
    headline, others = recipe.acts[0].name, [act.name for act in recipe.acts[1:]]
    done = {e.step for e in run.diagnostics}
    evaluated = evaluation_steps(job.total_steps, job.ingredients.protocol)
    stage_ends = itertools.accumulate(stage.steps for stage in recipe.stages)
    for step in sorted({*evaluated, *stage_ends}):
        if step < trainer.step or step in done:
            continue
        _advance(run, trainer, step)
        if step not in evaluated:
            continue
        if step > 0:
            # The last step's losses say nothing of the parameters that it left, which are scored.
            trainer.check()
        names = [headline, *others] if step == job.total_steps else [headline]
        agent = trainer.agent()
        for name in names:
            _assess(run, evaluator, trainer, name)
        run.diagnose(partial(of_agent, agent, run.data, headline, step, job.device))
        run.tell(score=run.last_score(), error=run.last_error())
        if 0 < step < job.total_steps:
            run.save(trainer)
        else:
            run.save_evaluations()
    trainer.agent().save(run.place.agent)


def _assess(run: _Run, evaluator: Evaluator, trainer: Trainer, name: str) -> None:
    """Evaluates an act now or, without an environment, takes its errors on held-out episodes."""
    job, agent, step = run.job, trainer.agent(), trainer.step
    try:
        if run.dataset.environment is None:
            noise = _noise(job, "held out", step, name)
            agent.eval()
            run.hold_out(lambda data: agent_error(agent, data, noise, name, step, job.device))
        else:
            run.evaluate(evaluator, _acting(agent, job, name, step), name, step)
    except Diverged as error:
        known = run.progress.loss
        loss = "" if known is None else f", after a loss of {known:g}"
        raise trainer.diverged(f"{error} (act '{name}'{loss})", job.cell.seed) from error


def _columns_folder(job: Job) -> Path:
    """Where prepared columns are kept for later runs of the same code."""
    sources = hashlib.sha256(repr((SEMANTICS, job.ingredients.sources)).encode()).hexdigest()
    return zoo_home() / "cache" / "columns" / sources[:16]


def _advance(run: _Run, trainer: Trainer, goal: int) -> None:
    """Trains up to `goal`, in stretches short enough to report and to save in between, and keeps
    the metrics of the last steps before it."""
    stretch, begin = 1, max(trainer.step, goal - MEASURED_STEPS)
    measured = _Means()
    while trainer.step < goal:
        due = time.perf_counter() - run.saved_at > CHECKPOINT_SECONDS
        if due and 0 < trainer.step <= begin:
            run.save(trainer)
        began = time.perf_counter()
        measuring = trainer.step >= begin
        means = measured if measuring else _Means()
        until = min(goal if measuring else begin, trainer.step + stretch)
        steps = until - trainer.step
        trainer.run(until, means.add, 1 if measuring else until, run.prepare)
        seconds = time.perf_counter() - began
        run.times["training"] += seconds
        run.tell(
            step=trainer.step,
            steps_per_second=steps / max(seconds, 1e-9),
            # The first term of the first update: enough to see a run go wrong.
            loss=next(iter(means.values().values()), None),
            metrics=means.values(),
            preparing="",
            prepared=0.0,
        )
        run.track(goal=trainer.step == goal)
        # Doubling finds the length of a stretch without one slow first step misleading it.
        wanted = max(1, int(steps * REPORT_SECONDS / max(seconds, 1e-9)))
        stretch = min(2 * stretch, wanted)
    if measured.stage:
        found = Measured(
            step=goal, stage=measured.stage, steps=goal - begin, metrics=measured.values()
        )
        run.training.append(found)


class _Means:
    """Means over reports, added up in their order so that interruptions change no digit."""

    def __init__(self) -> None:
        self.stage = ""
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, log: Log) -> None:
        """Takes a report in."""
        self.stage = log.stage
        for name, value in log.metrics[0].items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def values(self) -> dict[str, float]:
        """Each metric's mean."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}


def _acting(agent: Agent, job: Job, name: str, step: int) -> Act:
    """A named act with noise of its own, the same however often the run was interrupted."""
    noise = _noise(job, "evaluation", step, name)
    agent.eval()
    return lambda observations: agent.act(observations, noise, name)


def _noise(job: Job, purpose: str, step: int, name: str) -> GeneratorNoise:
    generator = torch.Generator(job.device)
    generator.manual_seed(stream_seed(job.cell.seed, purpose, step, name))
    return GeneratorNoise(generator)


def _resumed(run: _Run) -> Trainer | None:
    """The trainer of the job's checkpoint, with the evaluations up to its step."""
    checkpoint = run.place.work / CHECKPOINT
    if not checkpoint.exists():
        return None
    try:
        content = (run.place.work / EVALUATIONS).read_bytes()
        saved = _Saved.model_validate_json(content)
        trainer = Trainer.load(
            checkpoint,
            run.recipe,
            run.data,
            device=run.job.device,
            columns_dir=_columns_folder(run.job),
        )
    except (BadCheckpoint, ValidationError, OSError) as error:
        # A damaged checkpoint costs time and not the run: it is kept aside for whoever asks.
        print(f"starting from scratch: {error}", flush=True)
        os.replace(checkpoint, checkpoint.with_name(f"{CHECKPOINT}.damaged"))
        return None
    run.evaluations = [e for e in saved.evaluations if e.step <= trainer.step]
    run.training = [m for m in saved.training if m.step <= trainer.step]
    run.diagnostics = [d for d in saved.diagnostics if d.step <= trainer.step]
    run.held_out = [h for h in saved.held_out if h.step <= trainer.step]
    run.costs = saved.costs
    spent = saved.times_at.get(trainer.step, saved.times)
    run.times = spent.model_dump(include={"training", "evaluation", "setup"})
    run.times_at = {trainer.step: spent}
    run.attempts = saved.times.attempts + 1
    return trainer


def _external(run: _Run, evaluator: Evaluator, started: float) -> None:
    """A learner of its own: no checkpoints, one evaluation at the end."""
    job, recipe = run.job, run.recipe
    assert recipe.algorithm.fit is not None
    run.times["setup"] = time.perf_counter() - started
    run.tell()
    run.trackers.start(0)
    began = time.perf_counter()
    policy = recipe.algorithm.fit(recipe.config, run.data, job.cell.seed, job.device)
    run.times["training"] = time.perf_counter() - began
    with torch.no_grad():
        name, step = headline_of(recipe), job.total_steps
        if run.dataset.environment is None:
            run.hold_out(lambda data: policy_error(policy, data, name, step, job.device))
        else:
            run.evaluate(evaluator, policy, name, step)
        look = partial(diagnose_policy, policy, run.data, job.device)
        run.diagnose(partial(diagnosed, step, name, look))
    run.tell(step=step, score=run.last_score(), error=run.last_error())


def forget(work: Path) -> None:
    """Removes the checkpoint and the evaluations of a job that is to start from scratch."""
    for name in (CHECKPOINT, EVALUATIONS):
        (work / name).unlink(missing_ok=True)


def _described(job: Job) -> dict[str, Any]:
    """What a record says of its job and of this machine, whatever became of it."""
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


def failed(job: Job, failure: Failure, work: Path | None = None) -> Result:
    """The record of a job that has no score.

    Args:
        job: The job.
        failure: Why.
        work: Its folder, from which the evaluations that it did make are kept.
    """
    saved = _Saved()
    if work is not None:
        with contextlib.suppress(OSError, ValidationError):
            saved = _Saved.model_validate_json((work / EVALUATIONS).read_bytes())
    return Result(
        **_described(job),
        status="failed",
        act=saved.evaluations[0].act if saved.evaluations else "",
        evaluations=saved.evaluations,
        training=saved.training,
        diagnostics=saved.diagnostics,
        held_out=saved.held_out,
        failure=failure,
        times=saved.times.model_copy(update={"finished_at": now()}),
        **saved.costs.model_dump(),
    )


def machine(device: str) -> dict[str, str]:
    """What a run's times were measured on."""
    described = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "threads": str(torch.get_num_threads()),
        "device": device,
        "engine": "solo",
    }
    if device.startswith("cuda") and torch.cuda.is_available():
        described["accelerator"] = torch.cuda.get_device_name(device)
    return described


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
