"""One job, in this process: train, evaluate, checkpoint, and the record of it.

The checkpoint and the evaluations so far are two files. The evaluations are written first, and
those later than the checkpoint are made again on resuming, so that a kill at any moment leaves a
consistent pair, and a resumed run equals an uninterrupted one. The times count like the
evaluations: those of steps that are made again are dropped.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from functools import partial
from pathlib import Path

import torch
from pydantic import ValidationError

from zoo_core import SEMANTICS, Agent, GeneratorNoise, Recipe, Trainer
from zoo_core import registry as registry_module
from zoo_core.diagnostics import diagnose_policy
from zoo_core.errors import BadCheckpoint, Diverged, ZooError
from zoo_core.noise import stream_seed
from zoo_core.registry import Registry
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets.home import zoo_home
from zoo_leaderboard.fingerprint import edited, sources
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import Result
from zoo_leaderboard.running.costs import parameters_of
from zoo_leaderboard.running.diagnosing import diagnosed, of_agent
from zoo_leaderboard.running.evaluation import Act, Evaluator, evaluation_steps
from zoo_leaderboard.running.holding_out import agent_error, policy_error, split
from zoo_leaderboard.running.outcome import finished
from zoo_leaderboard.running.run import (
    CHECKPOINT,
    EVALUATIONS,
    Place,
    Progress,
    Report,
    Run,
    Saved,
    headline_of,
)
from zoo_leaderboard.running.stretches import advance
from zoo_leaderboard.running.tracking import Trackers


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
    run = Run(
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
        if dataset.environment:
            evaluator.check()
        if recipe.external:
            _external(run, evaluator, started)
        else:
            _train(run, evaluator, started)
    return finished(run)


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


def _train(run: Run, evaluator: Evaluator, started: float) -> None:
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
    run.update(step=trainer.step, resumed=trainer.step > 0)
    run.trackers.start(trainer.step)
    headline, others = recipe.acts[0].name, [act.name for act in recipe.acts[1:]]
    done = {e.step for e in run.diagnostics}
    evaluated = evaluation_steps(job.total_steps, job.ingredients.protocol)
    stage_ends = itertools.accumulate(stage.steps for stage in recipe.stages)
    for step in sorted({*evaluated, *stage_ends}):
        if step < trainer.step or step in done:
            continue
        advance(run, trainer, step)
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
        run.update(score=run.last_score(), error=run.last_error())
        if 0 < step < job.total_steps:
            run.save(trainer)
        else:
            run.save_evaluations()
    trainer.agent().save(run.place.agent)


def _assess(run: Run, evaluator: Evaluator, trainer: Trainer, name: str) -> None:
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
    """The folder of prepared columns, for later runs of the same code."""
    sources = hashlib.sha256(repr((SEMANTICS, job.ingredients.sources)).encode()).hexdigest()
    return zoo_home() / "cache" / "columns" / sources[:16]


def _acting(agent: Agent, job: Job, name: str, step: int) -> Act:
    """A named act with a separate random generator, the same after any number of interruptions."""
    noise = _noise(job, "evaluation", step, name)
    agent.eval()
    return lambda observations: agent.act(observations, noise, name)


def _noise(job: Job, purpose: str, step: int, name: str) -> GeneratorNoise:
    generator = torch.Generator(job.device)
    generator.manual_seed(stream_seed(job.cell.seed, purpose, step, name))
    return GeneratorNoise(generator)


def _resumed(run: Run) -> Trainer | None:
    """The trainer of the job's checkpoint, with the evaluations up to its step."""
    checkpoint = run.place.work / CHECKPOINT
    if not checkpoint.exists():
        return None
    try:
        content = (run.place.work / EVALUATIONS).read_bytes()
        saved = Saved.model_validate_json(content)
        trainer = Trainer.load(
            checkpoint,
            run.recipe,
            run.data,
            device=run.job.device,
            columns_dir=_columns_folder(run.job),
        )
    except (BadCheckpoint, ValidationError, OSError) as error:
        # A damaged checkpoint costs time and not the run: it is kept aside.
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


def _external(run: Run, evaluator: Evaluator, started: float) -> None:
    """Runs an external learner: no checkpoints, one evaluation at the end."""
    job, recipe = run.job, run.recipe
    assert recipe.algorithm.fit is not None
    run.times["setup"] = time.perf_counter() - started
    run.update()
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
    run.update(step=step, score=run.last_score(), error=run.last_error())
