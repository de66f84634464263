"""The one training loop, which runs every algorithm: stages of updates and averages."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from zoo_core import checkpoint
from zoo_core import columns as column_files
from zoo_core.agent import Agent
from zoo_core.batch import Batch, BatchStream
from zoo_core.data import OfflineData
from zoo_core.drawing import reported
from zoo_core.engines import ENGINES
from zoo_core.engines.base import EngineTerm, EngineUpdate, Tapes, objective
from zoo_core.errors import BadCheckpoint, Diverged, UnknownName, ZooError, ZooWarning
from zoo_core.noise import CountingNoise, GeneratorNoise, Stream, stream_seed
from zoo_core.recipe import Recipe
from zoo_core.schedules import value_at
from zoo_core.specs import Stage, Update
from zoo_core.units import out_of_scale
from zoo_core.version import SEMANTICS

Q_BOUND = 1e8
"""The magnitude of a critic's mean value (a metric `q_mean`) at which a run counts as diverged, per
unit of the largest rescaled reward, or of 1 where rewards are smaller: networks start near 1."""


@dataclass(frozen=True)
class Log:
    """What a trainer reports of the steps since the last report."""

    step: int
    """Steps done over all stages."""
    total_steps: int
    stage: str
    metrics: tuple[Mapping[str, float], ...]
    """Per seed, each metric's mean over those steps, such as `critic/td` and `critic/q_mean`."""
    steps_per_second: float


@dataclass(frozen=True)
class Preparing:
    """Progress of a stage's prepared columns, for which its steps wait."""

    step: int
    """Steps done over all stages."""
    stage: str
    share: float
    """Fraction of the columns prepared, over this seed and earlier ones, in (0, 1]."""


@dataclass(frozen=True)
class _BoundUpdate:
    """An update of the current stage with its noise streams."""

    update: Update
    engine: EngineUpdate
    streams: tuple[tuple[Stream, ...], ...]
    """Per term, one per seed."""


class Trainer:
    """Trains an algorithm on data, for one seed or for a group of seeds.

    Warns of observations and rewards whose units are far from those that networks are built for.

    Args:
        recipe: From `resolve`.
        data: The logged episodes, with actions in [-1, 1].
        seeds: One agent each.
        device: `cpu`, `cuda` or `cuda:N`.
        engine: `solo` (one seed), `vmap` (any number), or `auto`.
        columns_dir: Folder for prepared columns. If None, they are kept in memory.
        dtype: Of parameters and batches.

    Raises:
        ZooError: an external learner, an unknown device or engine, no seed, or data with NaN,
            infinite numbers or actions outside [-1, 1].
    """

    def __init__(
        self,
        recipe: Recipe,
        data: OfflineData,
        seeds: Sequence[int] = (0,),
        *,
        device: str | torch.device = "cpu",
        engine: Literal["auto", "solo", "vmap"] = "auto",
        columns_dir: Path | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not isinstance(data, OfflineData):
            kind = type(data).__name__
            raise ZooError(f"data are of type {kind}; see OfflineData and its from_episodes")
        if not isinstance(seeds, Sequence) or not all(isinstance(seed, Integral) for seed in seeds):
            raise ZooError(f"seeds must be whole numbers, such as (0, 1) (got {seeds!r})")
        if recipe.external:
            raise ZooError(f"'{recipe.name}' is an external learner: call its fit, not a trainer")
        if not seeds or len(set(seeds)) != len(seeds):
            raise ZooError(f"seeds must be different and at least one (got {list(seeds)})")
        self.recipe = recipe
        self.data = data
        self.seeds = tuple(seeds)
        self.device = usable_device(device)
        self.dtype = dtype
        self.columns_dir = columns_dir
        name = engine if engine != "auto" else ("solo" if len(seeds) == 1 else "vmap")
        if name not in ENGINES:
            raise UnknownName("engine", name, [*ENGINES, "auto"])
        if name == "solo" and len(seeds) > 1:
            raise ZooError(f"the solo engine trains one seed, not {len(seeds)}; use vmap")
        agents = [Agent(recipe, data.space, seed, dtype) for seed in seeds]
        for agent in agents:
            agent.fit_scaling(data)
            agent.to(self.device)
        for line in out_of_scale(agents[0], data):
            warnings.warn(line, ZooWarning, stacklevel=2)
        self._q_bound = Q_BOUND * max(1.0, agents[0].largest_reward(data))
        self.engine_name = name
        self.engine = ENGINES[name](agents)
        self.columns: list[dict[str, Tensor]] = [{} for _ in seeds]
        self._prepared: list[dict[str, dict[str, Tensor]]] = [{} for _ in seeds]
        self._stage = 0
        self._step = 0
        self._entered = False
        self._updates: list[_BoundUpdate] = []
        self._batches: BatchStream | None = None
        self._metrics: dict[str, list[Tensor]] = {}
        self._saved: tuple[int, Path] | None = None
        self._preparing: Callable[[Preparing], None] | None = None

    @property
    def total_steps(self) -> int:
        """Steps over all stages."""
        return self.recipe.total_steps

    @property
    def step(self) -> int:
        """Steps done over all stages."""
        return sum(stage.steps for stage in self.recipe.stages[: self._stage]) + self._step

    @property
    def saved(self) -> tuple[int, Path] | None:
        """Step and file of the last checkpoint, whose parameters and losses were finite."""
        return self._saved

    def agent(self, position: int = 0) -> Agent:
        """The agent of the seed at that position, with the current parameters."""
        return self.engine.sync()[position]

    def run(
        self,
        until: int | None = None,
        log: Callable[[Log], None] | None = None,
        log_every: int = 1000,
        preparing: Callable[[Preparing], None] | None = None,
    ) -> Trainer:
        """Trains until `until` steps are done over all stages (none: all of them).

        Args:
            until: Where to stop.
            log: Called every `log_every` steps and at the end.
            log_every: Steps between reports and checks for divergence.
            preparing: Called as the columns of a stage that begins are drawn, batch by batch.

        Raises:
            Diverged: a loss is not finite, or a critic's mean value is beyond `Q_BOUND` times the
                largest rescaled reward; names the update, the metric, the seed and the last
                checkpoint.
        """
        goal = self.total_steps if until is None else min(until, self.total_steps)
        since, began = self.step, time.perf_counter()
        self._preparing = preparing
        while self.step < goal:
            if not self._entered:
                self._enter()
            stage = self.recipe.stages[self._stage]
            if self._step == stage.steps:
                self._stage, self._step, self._entered = self._stage + 1, 0, False
                continue
            self._advance(stage)
            done = self.step
            if done % log_every == 0 or done == goal:
                metrics = self._report()
                self._metrics = {}
                if log is not None:
                    now = time.perf_counter()
                    rate = (done - since) / max(now - began, 1e-9)
                    log(Log(done, self.total_steps, stage.name, metrics, rate))
                    since, began = done, now
        return self

    def _advance(self, stage: Stage) -> None:
        """One step: a batch, the updates in their order, and the averages where they stand."""
        assert self._batches is not None
        batch = self.engine.agents[0].scaled(self._batches.draw())
        progress = self._step / stage.steps
        self._step += 1
        for bound in self._updates:
            if bound.update.fires(self._step):
                self._update(bound, batch, progress)
            self._average(stage, bound.update.name)
        self._average(stage, None)

    def _update(self, bound: _BoundUpdate, batch: Batch, progress: float) -> None:
        update = bound.update
        metrics = self.engine.step(
            bound.engine,
            batch,
            self._tapes(bound),
            [value_at(term.weight, progress) for term in update.losses],
            {path: value_at(adam.lr, progress) for path, adam in update.trains.items()},
        )
        for name, value in metrics.items():
            self._metrics.setdefault(name, []).append(value)

    def _average(self, stage: Stage, after: str | None) -> None:
        for ema in stage.emas:
            if ema.after == after and ema.fires(self._step):
                self.engine.move_average(ema.part, ema.rate)

    def _tapes(self, bound: _BoundUpdate) -> Tapes:
        if not self.engine.stacked:
            return [streams[0].draw() for streams in bound.streams]
        tapes = []
        for streams in bound.streams:
            normals, uniforms = zip(*(stream.draw() for stream in streams), strict=True)
            tapes.append((torch.stack(normals), torch.stack(uniforms)))
        return tapes

    def _report(self) -> tuple[dict[str, float], ...]:
        """The metrics since the last report, per seed; the only place where tensors become
        numbers."""
        seeds = len(self.seeds)
        reports: list[dict[str, float]] = [{} for _ in self.seeds]
        for name, values in self._metrics.items():
            means = torch.stack(values).double().mean(0).reshape(-1).expand(seeds).tolist()
            for report, value in zip(reports, means, strict=True):
                report[name] = value
        for seed, report in zip(self.seeds, reports, strict=True):
            self._refuse(report, seed)
        return tuple(reports)

    def _refuse(self, metrics: Mapping[str, float], seed: int) -> None:
        """Raises Diverged for a value that no sound training has."""
        for name, value in metrics.items():
            finite = value - value == 0.0
            if finite and not (name.endswith("/q_mean") and abs(value) > self._q_bound):
                continue
            beyond = f", beyond {self._q_bound:g}," if finite else ""
            raise self.diverged(f"{name} is {value}{beyond}", seed)

    def diverged(self, what: str, seed: int) -> Diverged:
        """The error to raise where something is no longer finite: it adds to `what` the step, the
        seed, what to try and the last good checkpoint."""
        saved = ""
        if self._saved is not None:
            saved = "; the last good checkpoint is {1} of step {0}".format(*self._saved)
        return Diverged(
            f"'{self.recipe.name}' diverged: {what} by step {self.step} (seed {seed}); "
            f"try a lower learning rate or gradient clipping{saved}"
        )

    def check(self) -> None:
        """Looks whether the parameters are sound: finite, and with finite losses on a batch of its
        own. A step's losses are taken before it, so that they say nothing of what it left behind.

        It changes nothing and draws from no stream of the training.

        Raises:
            Diverged: names the part, or the metric.
        """
        if not self._entered and self.step < self.total_steps:
            self._enter()
        assert self._batches is not None
        stage, agents = self.recipe.stages[self._stage], self.engine.sync()
        assert stage.batch is not None
        indices, noises = [], []
        for seed, agent in zip(self.seeds, agents, strict=True):
            for name, parameter in agent.named_parameters():
                if not parameter.isfinite().all():
                    path = name.removeprefix("live.")
                    depth = 2 if path.startswith("target.") else 1
                    part = ".".join(path.split(".")[:depth])
                    raise self.diverged(f"the part '{part}' is not finite ({path})", seed)
            number = stream_seed(seed, stage.name, "check", self.step)
            generator = torch.Generator().manual_seed(number)
            indices.append(torch.randint(len(self.data), (stage.batch.size,), generator=generator))
            generator = torch.Generator(self.device).manual_seed(number)
            noises.append(GeneratorNoise(generator, self.dtype))
        stacked = self.engine.stacked
        batch = self._batches.at(torch.stack(indices) if stacked else indices[0])
        batch = agents[0].scaled(batch)
        for position, (seed, agent) in enumerate(zip(self.seeds, agents, strict=True)):
            own = pytree.tree_map(lambda t, i=position: t[i], batch) if stacked else batch
            for bound in self._updates:
                terms = len(bound.engine.terms)
                noise, ones = [noises[position]] * terms, [1.0] * terms
                with torch.no_grad():
                    _, metrics = objective(agent, own, noise, ones, bound.engine)
                self._refuse({name: float(value) for name, value in metrics.items()}, seed)

    def _enter(self, resumed: bool = False) -> None:
        """Begins the current stage: prepared columns, resets, losses and noise streams."""
        stage = self.recipe.stages[self._stage]
        if not resumed:
            if stage.prepare is not None:
                self._prepare(stage)
            for name in stage.reset:
                self.engine.reset(name)
        assert stage.batch is not None
        self._batches = BatchStream(
            self.data,
            stage.batch,
            [
                torch.Generator().manual_seed(stream_seed(seed, stage.name, "batches"))
                for seed in self.seeds
            ],
            self.columns,
            stacked=self.engine.stacked,
            dtype=self.dtype,
            device=self.device,
        )
        self._updates = [self._bind(stage, update) for update in stage.updates]
        self._entered = True

    def _prepare(self, stage: Stage) -> None:
        assert stage.prepare is not None
        rows = len(self.data.observations)
        who = f"{self.recipe.name}.{stage.name}'s prepare"
        for position, agent in enumerate(self.engine.sync()):
            seed = self.seeds[position]
            key = column_files.key_of(
                *self._read(stage, agent),
                self.data.digest,
                stage.name,
                seed,
                self.device.type,
                SEMANTICS,
            )
            if self.columns_dir is not None and (self.columns_dir / key).is_dir():
                made = column_files.read(self.columns_dir, key)
            else:
                generator = torch.Generator(self.device)
                generator.manual_seed(stream_seed(seed, stage.name, "prepare"))
                data = replace(self.data, columns=self.columns[position])
                with torch.no_grad(), self._telling(stage, position):
                    made = stage.prepare(agent, data, GeneratorNoise(generator, self.dtype))
                column_files.check(made, rows, who)
                if self.columns_dir is not None:
                    column_files.write(self.columns_dir, key, made)
                    made = column_files.read(self.columns_dir, key)
            self.columns[position] = {**self.columns[position], **made}
            self._prepared[position][key] = made

    def _telling(self, stage: Stage, position: int) -> contextlib.AbstractContextManager[None]:
        """Reports the progress of the seed at `position` to the `preparing` callback of `run`."""
        tell, seeds = self._preparing, len(self.seeds)
        if tell is None:
            return contextlib.nullcontext()
        return reported(
            lambda share: tell(Preparing(self.step, stage.name, (position + share) / seeds))
        )

    def _read(self, stage: Stage, agent: Agent) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state and the settings that decide what the stage prepares."""
        state, values = agent.state_dict(), self.recipe.values()
        if not stage.prepare_reads:
            return state, values
        kept = tuple(
            f"{path}." if path.startswith("target.") else f"live.{path}."
            for path in stage.prepare_reads
        )
        live = [path.removeprefix("target.") for path in stage.prepare_reads]
        names = {path.partition(".")[0] for path in live}
        return (
            # What is neither live nor averaged is the scaling of observations and rewards.
            {
                name: value
                for name, value in state.items()
                if name.startswith(kept) or not name.startswith(("live.", "target."))
            },
            {path: value for path, value in values.items() if path.partition(".")[0] in names},
        )

    def _bind(self, stage: Stage, update: Update) -> _BoundUpdate:
        """Builds the losses and, by a dry pass, the noise streams of an update."""
        terms = []
        for term in update.losses:
            bound = self.recipe.losses[stage.name, update.name, term.name]
            terms.append(EngineTerm(term.name, bound.spec.build(bound.config), bound.spec.averages))
        engine_update = EngineUpdate(update.name, update.trains, tuple(terms))
        counts = [CountingNoise(self.dtype, self.device) for _ in terms]
        assert stage.batch is not None
        trial = BatchStream(
            self.data,
            stage.batch,
            [],
            self.columns[:1],
            stacked=False,
            dtype=self.dtype,
            device=self.device,
        ).at(torch.zeros(stage.batch.size, dtype=torch.int64))
        agent = self.engine.agents[0]
        with torch.no_grad():
            objective(agent, agent.scaled(trial), counts, [1.0] * len(terms), engine_update)
        streams = tuple(
            tuple(
                Stream(
                    stream_seed(seed, stage.name, update.name, term.name),
                    count.normals,
                    count.uniforms,
                    self.dtype,
                    self.device,
                )
                for seed in self.seeds
            )
            for term, count in zip(terms, counts, strict=True)
        )
        return _BoundUpdate(update, engine_update, streams)

    def _generators(self) -> list[torch.Generator]:
        """Every generator of the current stage, in a fixed order."""
        assert self._batches is not None
        return self._batches.generators + [
            stream.generator
            for bound in self._updates
            for streams in bound.streams
            for stream in streams
        ]

    def save(self, path: Path | str) -> None:
        """Writes a checkpoint to one file, by rename; prepared columns that are only in memory go
        to the folder `columns` beside it. A file that is there is replaced by a sound one only.

        Raises:
            ZooError: the place cannot be written to.
            Diverged: a loss since the last report, a parameter, or a loss at the parameters as they
                are is not finite; names the last checkpoint for which all were.
        """
        path = Path(path)
        if not self._entered and self.step < self.total_steps:
            self._enter()
        self._report()
        self.check()
        if self.columns_dir is None:
            for prepared in self._prepared:
                for key, made in prepared.items():
                    column_files.write(path.parent / "columns", key, made)
        checkpoint.write(
            path,
            {
                **self.engine.agents[0].description(),
                "seeds": list(self.seeds),
                "engine": self.engine_name,
                "data": self.data.digest,
                "device": self.device.type,
                "dtype": str(self.dtype).removeprefix("torch."),
                "stage": self._stage,
                "step": self._step,
                "columns": [list(prepared) for prepared in self._prepared],
                "generators": [g.get_state() for g in self._generators()],
                **self.engine.state(),
            },
        )
        self._saved = (self.step, path)

    @classmethod
    def load(
        cls,
        path: Path | str,
        recipe: Recipe,
        data: OfflineData,
        *,
        device: str | torch.device = "cpu",
        columns_dir: Path | None = None,
    ) -> Trainer:
        """A trainer that resumes where a checkpoint was written.

        Raises:
            BadCheckpoint: the file is damaged, or of another algorithm, settings, data, kind of
                device or `zoo_core.SEMANTICS`.
        """
        path = Path(path)
        content = checkpoint.read(path)
        checkpoint.check_training(content, path)
        if content["semantics"] != SEMANTICS:
            raise BadCheckpoint(
                f"{path} was written under semantics {content['semantics']} of training, and this "
                f"zoo-core has {SEMANTICS}; start from scratch, or resume with that version"
            )
        _same(path, "algorithm", content["algorithm"], recipe.name)
        _same(path, "data", content["data"], data.digest)
        kind = usable_device(device).type
        if content["device"] != kind:
            raise BadCheckpoint(
                f"{path} was written on {content['device']}, whose random numbers {kind} cannot "
                f"continue; resume on {content['device']}, or start from scratch"
            )
        for name, value in recipe.values().items():
            _same(path, name, content["settings"].get(name), value)
        dtype = getattr(torch, content["dtype"], None)
        if not isinstance(dtype, torch.dtype):
            raise BadCheckpoint(f"{path} is damaged: there is no dtype '{content['dtype']}'")
        trainer = cls(
            recipe,
            data,
            content["seeds"],
            device=device,
            engine=content["engine"],
            columns_dir=columns_dir,
            dtype=dtype,
        )
        trainer._restore(content, path)
        with contextlib.suppress(Diverged):
            # A file of a version that did not check must not be called good.
            trainer.check()
            trainer._saved = (trainer.step, path)
        return trainer

    def _restore(self, content: Mapping[str, Any], path: Path) -> None:
        self._stage, self._step = content["stage"], content["step"]
        stages = self.recipe.stages
        if not (0 <= self._stage < len(stages) and 0 <= self._step <= stages[self._stage].steps):
            raise BadCheckpoint(
                f"{path} is damaged: '{self.recipe.name}' has no step {self._step} of stage "
                f"{self._stage}"
            )
        directory = self.columns_dir or path.parent / "columns"
        for position, keys in enumerate(content["columns"]):
            for key in keys:
                made = column_files.read(directory, key)
                self.columns[position].update(made)
                self._prepared[position][key] = made
        trained = {
            part
            for stage in self.recipe.stages
            for update in stage.updates
            for part in update.trains
        }
        self.engine.load(content, trained, path)
        self._enter(resumed=True)
        try:
            for generator, state in zip(self._generators(), content["generators"], strict=True):
                generator.set_state(state.cpu())
        except (ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise BadCheckpoint(f"{path} is damaged: its random numbers do not fit") from error


def _same(path: Path, what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise BadCheckpoint(f"{path} was written with {what} {found!r}, not {expected!r}")


def usable_device(device: str | torch.device) -> torch.device:
    """The device, checked.

    Raises:
        ZooError: there is no such device here.
    """
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ZooError(f"unknown device '{device}'; use cpu, cuda or cuda:N") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ZooError(f"no CUDA device is available for '{device}'; use --device cpu")
    if chosen.type not in {"cpu", "cuda"}:
        raise ZooError(f"device '{device}' is not supported; use cpu, cuda or cuda:N")
    return chosen
