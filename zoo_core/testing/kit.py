"""The checks, each a named callable that raises `CheckFailed` with what to mend."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from zoo_core import registry as registry_module
from zoo_core.agent import Agent
from zoo_core.batch import BatchStream
from zoo_core.context import Context
from zoo_core.data import Space
from zoo_core.errors import UnknownName, ZooError
from zoo_core.noise import GeneratorNoise, Tape
from zoo_core.protocols import HasMode
from zoo_core.recipe import Recipe, resolve
from zoo_core.registry import Registry
from zoo_core.specs import CriticSpec, LossSpec, SamplerSpec
from zoo_core.testing.data import toy_data
from zoo_core.training import Trainer

STEPS_PER_STAGE = 6
BATCH = 8


class CheckFailed(AssertionError):
    """A check that does not hold; the message says what to mend."""


@dataclass(frozen=True)
class Check:
    """One named check of one registered thing."""

    subject: str
    name: str
    function: Callable[[], None]

    def __call__(self) -> None:
        """Runs the check.

        Raises:
            CheckFailed: it does not hold.
        """
        try:
            self.function()
        except ZooError as error:
            raise CheckFailed(str(error)) from error

    def __str__(self) -> str:
        return f"{self.subject}: {self.name}"


def checks_of(name: str, registry: Registry | None = None) -> list[Check]:
    """The checks of a registered algorithm, sampler, critic or loss.

    Raises:
        UnknownName: nothing of that name is registered.
    """
    found = registry or registry_module.installed()
    checks: list[tuple[str, Callable[[], None]]] = []
    if name in found.algorithms:
        checks += _algorithm_checks(name, found)
    if name in found.samplers:
        checks += _sampler_checks(found.samplers[name].spec)
    if name in found.critics:
        checks += _critic_checks(found.critics[name].spec)
    if name in found.losses:
        checks += _loss_checks(found.losses[name].spec, found)
    if not checks:
        known = [*found.algorithms, *found.samplers, *found.critics, *found.losses]
        raise UnknownName("algorithm, part or loss", name, known)
    return [Check(name, label, function) for label, function in checks]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckFailed(message)


def _algorithm_checks(name: str, registry: Registry) -> list[tuple[str, Callable[[], None]]]:
    spec = registry.algorithm(name)
    recipe = resolve(name, registry=registry)

    def documented() -> None:
        _require(bool(spec.summary and spec.cite.title and spec.cite.url), "no summary or cite")
        silent = [path for path, s in recipe.settings.items() if not s.meaning]
        _require(not silent, f"settings without a meaning: {', '.join(silent)}")

    def paths_exist() -> None:
        named = [*spec.paper, *(path for values in spec.tuned.values() for path in values)]
        unknown = sorted({path for path in named if path not in recipe.settings})
        _require(not unknown, f"paper or tuned values for unknown paths: {', '.join(unknown)}")
        for pattern, values in spec.tuned.items():
            resolve(name, values, registry=registry)
            _require(bool(values), f"the tuned pattern '{pattern}' has no value")
        for pattern, spent in spec.tuning_evaluations.items():
            _require(spent >= 0, f"tuning_evaluations of '{pattern}' is {spent}")
        sourced = bool(spec.tuning_source) or not spec.tuning_evaluations
        _require(sourced, "tuning_evaluations without a tuning_source")

    def round_trip() -> None:
        again = resolve(name, recipe.values(), registry=registry)
        _require(again.values() == recipe.values(), "resolve(name, recipe.values()) differs")

    if recipe.external:
        return [("is documented", documented), ("paths exist", paths_exist)]

    def budget() -> None:
        _require(
            recipe.total_steps == recipe.config.steps,
            f"the stages sum to {recipe.total_steps} steps, but the setting steps is "
            f"{recipe.config.steps}",
        )

    small = _small(recipe, registry)
    return [
        ("is documented", documented),
        ("paths of paper and tuned values exist", paths_exist),
        ("settings give the recipe back", round_trip),
        ("stages use up the budget", budget),
        ("an update changes exactly what it trains", lambda: _exact_updates(small)),
        ("losses read only what they declare", lambda: _declared_reads(small)),
        ("a rerun is bit-equal", lambda: _rerun(small)),
        ("a group of seeds equals solo runs", lambda: _engines_agree(small)),
        ("a resumed run equals an uninterrupted one", lambda: _resume(small)),
        ("leaves the global random state alone", lambda: _global_state(small)),
        ("acts within bounds", lambda: _acts(small)),
    ]


def _small(recipe: Recipe, registry: Registry) -> Recipe:
    """The recipe at a size at which a check takes a moment."""
    changes: dict[str, Any] = {}
    for path, setting in recipe.settings.items():
        last = path.rpartition(".")[2]
        if last == "hidden" or last.endswith("_hidden"):
            one = isinstance(setting.value, int)
            changes[path] = 16 if one else [16] * len(setting.value)
        elif path.endswith(".batch.size"):
            changes[path] = BATCH
    for stage in recipe.stages:
        changes[f"{stage.name}.steps"] = STEPS_PER_STAGE
    small = resolve(recipe.name, {**recipe.values(), **changes}, registry=registry)
    # Averages and delayed updates must happen within the few steps of a check.
    stages = tuple(
        replace(
            stage,
            emas=tuple(e.updated({"start": min(e.start or e.every, 2)}) for e in stage.emas),
            updates=tuple(
                replace(u, start=min(u.start or u.every, 2)) if u.every > 1 else u
                for u in stage.updates
            ),
        )
        for stage in small.stages
    )
    return replace(small, stages=stages)


def _trainer(recipe: Recipe, seeds: tuple[int, ...] = (0,), **options: Any) -> Trainer:
    return Trainer(recipe, toy_data(), seeds, dtype=torch.float64, **options)


def _state(trainer: Trainer, position: int = 0) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in trainer.agent(position).state_dict().items()}


def _exact_updates(recipe: Recipe) -> None:
    for stage in recipe.stages:
        for update in stage.updates:
            alone = _alone(recipe, stage.name, update.name)
            trainer = _trainer(alone)
            before = _state(trainer)
            trainer.run()
            after = _state(trainer)
            at = f"{stage.name}.{update.name}"
            trained = tuple(f"live.{path}." for path in update.trains)
            changed = {k for k in before if not torch.equal(before[k], after[k])}
            reset = tuple(f"live.{name}." for name in stage.reset)
            strays = [
                k for k in changed if k.startswith("live.") and not k.startswith(trained + reset)
            ]
            _require(not strays, f"{at} changes {', '.join(strays)}, which it does not train")
            for path in update.trains:
                prefix = f"live.{path}."
                parameters = [n for n, _ in trainer.agent().named_parameters()]
                idle = not any(n in changed for n in parameters if n.startswith(prefix))
                _require(not idle, f"{at} trains '{path}' but changes nothing in it")


def _alone(recipe: Recipe, stage: str, update: str) -> Recipe:
    """The stages up to that one, of which it alone trains, by that update alone; what earlier ones
    prepare is there."""
    names = [s.name for s in recipe.stages]
    stages = tuple(
        replace(
            s,
            steps=STEPS_PER_STAGE if s.name == stage else 0,
            updates=tuple(u for u in s.updates if s.name == stage and u.name == update),
        )
        for s in recipe.stages[: names.index(stage) + 1]
    )
    return replace(recipe, stages=stages)


class _Columns(dict[str, Tensor]):
    """Columns that note which of them are read."""

    def __init__(self, columns: Mapping[str, Tensor], read: set[str]) -> None:
        super().__init__(columns)
        self.read = read

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)


class _Recorder:
    """An agent that notes which parts are read."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.paths: set[str] = set()

    def part(self, path: str) -> nn.Module:
        self.paths.add(path)
        return self.agent.part(path)

    def average(self, name: str) -> Tensor:
        return self.agent.average(name)


def _declared_reads(recipe: Recipe) -> None:
    """Runs each term alone, at the start of its stage, and compares what it reads."""
    for number, stage in enumerate(recipe.stages):
        steps = sum(s.steps for s in recipe.stages[:number]) + 1
        trainer = _trainer(recipe).run(until=steps)
        agent = trainer.agent()
        assert stage.batch is not None
        batches = BatchStream(
            trainer.data,
            stage.batch,
            [torch.Generator().manual_seed(0)],
            trainer.columns,
            stacked=False,
            dtype=trainer.dtype,
            device=trainer.device,
        )
        batch = agent.scaled(batches.draw())
        lacking = sorted(set(stage.prepares or ()) - set(trainer.columns[0]))
        _require(
            stage.prepare is None or not lacking,
            f"stage '{stage.name}' prepares no column {', '.join(lacking)}, which it names",
        )
        for update in stage.updates:
            for term in update.losses:
                bound = recipe.losses[stage.name, update.name, term.name]
                recorder, columns = _Recorder(agent), set[str]()
                noted = replace(
                    batch,
                    columns=_Columns(batch.columns, columns),
                    next_columns=_Columns(batch.next_columns, columns),
                )
                context = Context(cast(Agent, recorder), noted, _noise(), {})
                bound.spec.build(bound.config)(context)
                declared = set(bound.spec.reads_with(bound.config))
                undeclared = sorted(recorder.paths - declared)
                _require(
                    not undeclared,
                    f"loss '{bound.spec.name}' reads {', '.join(undeclared)}, which its spec's "
                    "reads does not name",
                )
                unnamed = sorted(columns - set(bound.spec.columns_with(bound.config)))
                _require(
                    not unnamed,
                    f"loss '{bound.spec.name}' reads the column {', '.join(unnamed)}, which its "
                    "spec's columns does not name",
                )


def _rerun(recipe: Recipe) -> None:
    first, second = _state(_trainer(recipe).run()), _state(_trainer(recipe).run())
    for name, value in first.items():
        _require(torch.equal(value, second[name]), f"{name} differs between two runs of one seed")


def _engines_agree(recipe: Recipe) -> None:
    seeds = (0, 1)
    try:
        group = _trainer(recipe, seeds, engine="vmap").run()
    except RuntimeError as error:
        raise CheckFailed(
            f"a group of seeds fails under torch.func.vmap: {str(error).splitlines()[0]} "
            "(use torch.where in place of a branch on a tensor, and context.noise for all draws)"
        ) from error
    for position, seed in enumerate(seeds):
        solo = _trainer(recipe, (seed,), engine="solo").run()
        stacked = _state(group, position)
        for name, value in _state(solo).items():
            if not torch.allclose(value, stacked[name], rtol=1e-9, atol=1e-10):
                gap = float((value - stacked[name]).abs().max())
                raise CheckFailed(f"{name} differs by {gap:.1e} between the engines (seed {seed})")


def _resume(recipe: Recipe) -> None:
    whole = _state(_trainer(recipe).run())
    half = recipe.total_steps // 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "half.pt"
        _trainer(recipe).run(until=half).save(path)
        resumed = _state(Trainer.load(path, recipe, toy_data()).run())
    for name, value in whole.items():
        _require(torch.equal(value, resumed[name]), f"{name} differs after a resumed run")


def _global_state(recipe: Recipe) -> None:
    trainer = _trainer(recipe)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    trainer.run()
    _require(
        torch.equal(before, torch.get_rng_state()),
        "training draws from torch's global generator; draw from the noise that is passed in",
    )


def _acts(recipe: Recipe) -> None:
    agent = _trainer(recipe).run().agent()
    observations = toy_data().observations[:5].double()
    for act in recipe.acts:
        first, second = (
            agent.act(
                observations,
                GeneratorNoise(torch.Generator().manual_seed(7), torch.float64),
                act.name,
            )
            for _ in range(2)
        )
        shape = list(first.shape)
        _require(shape == [5, agent.space.action_dim], f"act '{act.name}' gives {shape}")
        _require(bool(torch.isfinite(first).all()), f"act '{act.name}' gives NaN or infinity")
        _require(torch.equal(first, second), f"act '{act.name}' is not a function of its noise")


def _built(spec: SamplerSpec | CriticSpec, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return spec.build(spec.config(), Space(3, 2)).double()


def _noise(seed: int = 0) -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)


def _inputs(n: int = 5) -> tuple[Tensor, Tensor]:
    data = toy_data()
    return data.observations[:n].double(), data.actions[:n].double()


class _Call(nn.Module):
    """Lets `functional_call` reach a method of a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(self.module, *arguments)


def _stacked_equals_loop(
    modules: list[nn.Module], function: Callable[[nn.Module, Tensor], Tensor]
) -> None:
    """The function under vmap over stacked parameters equals a loop over the modules."""
    calls = [_Call(module) for module in modules]
    parameters, buffers = stack_module_state(list(calls))
    generator = torch.Generator().manual_seed(1)
    tape = torch.randn(100_000, generator=generator, dtype=torch.float64)
    looped = torch.stack([function(module, tape) for module in modules])

    def one(own: Mapping[str, Tensor], own_buffers: Mapping[str, Tensor]) -> Tensor:
        result: Tensor = functional_call(calls[0], (dict(own), dict(own_buffers)), (function, tape))
        return result

    try:
        stacked = vmap(one)(parameters, buffers)
    except RuntimeError as error:
        raise CheckFailed(f"fails under torch.func.vmap: {str(error).splitlines()[0]}") from error
    gap = float((stacked - looped).detach().abs().max())
    _require(gap < 1e-9, f"differs by {gap:.1e} between a stack of seeds and single modules")


def _tape(numbers: Tensor) -> Tape:
    return Tape(numbers, torch.special.ndtr(numbers))


def _sampler_checks(spec: SamplerSpec) -> list[tuple[str, Callable[[], None]]]:
    def shapes() -> None:
        sampler: Any = _built(spec)
        observations, actions = _inputs()
        samples = sampler.sample(observations, _noise(), 4)
        _require(list(samples.shape) == [4, 5, 2], f"sample gives {list(samples.shape)}")
        nll = sampler.nll(observations, actions, _noise())
        _require(list(nll.shape) == [5], f"nll gives {list(nll.shape)}, not [5]")
        if isinstance(sampler, HasMode):
            mode = sampler.mode(observations)
            _require(list(mode.shape) == [5, 2], f"mode gives {list(mode.shape)}, not [5, 2]")

    def deterministic() -> None:
        sampler: Any = _built(spec)
        observations, actions = _inputs()
        first, second = (sampler.sample(observations, _noise(3), 2) for _ in range(2))
        _require(torch.equal(first, second), "sample is not a function of its noise")
        a, b = (sampler.nll(observations, actions, _noise(3)) for _ in range(2))
        _require(torch.equal(a, b), "nll is not a function of its noise")

    def learns() -> None:
        sampler: Any = _built(spec)
        observations, actions = _inputs()
        sampler.nll(observations, actions, _noise()).mean().backward()
        gradients = [p.grad for p in sampler.parameters() if p.grad is not None]
        _require(any(bool(g.abs().max() > 0) for g in gradients), "nll has no gradient")
        finite = all(bool(torch.isfinite(g).all()) for g in gradients)
        _require(finite, "nll has gradients that are not finite")

    def stacks() -> None:
        modules = [_built(spec, seed) for seed in range(2)]
        observations, actions = _inputs()
        _stacked_equals_loop(modules, lambda m, t: _any(m).sample(observations, _tape(t), 2))
        _stacked_equals_loop(modules, lambda m, t: _any(m).nll(observations, actions, _tape(t)))

    return [
        ("shapes", shapes),
        ("is a function of its noise", deterministic),
        ("its nll can be trained", learns),
        ("works for a stack of seeds", stacks),
    ]


def _any(module: nn.Module) -> Any:
    return module


def _critic_checks(spec: CriticSpec) -> list[tuple[str, Callable[[], None]]]:
    def candidates() -> None:
        critic: Any = _built(spec)
        if not hasattr(critic, "q"):
            return
        observations, actions = _inputs()
        single = critic.q(observations, actions)
        _require(single.dim() == 2 and single.shape[1] == 5, f"q gives {list(single.shape)}")
        many = torch.stack([actions, -actions, 0.5 * actions])
        stacked = torch.stack([critic.q(observations, a) for a in many], 1)
        together = critic.q(observations, many)
        _require(
            list(together.shape) == list(stacked.shape) and torch.allclose(together, stacked),
            "q of candidates [n, B, A] differs from q of each",
        )

    def stacks() -> None:
        modules = [_built(spec, seed) for seed in range(2)]
        observations, actions = _inputs()
        if hasattr(modules[0], "q"):
            _stacked_equals_loop(modules, lambda m, t: _any(m).q(observations, actions))
        if hasattr(modules[0], "v"):
            _stacked_equals_loop(modules, lambda m, t: _any(m).v(observations))

    return [("scores candidates", candidates), ("works for a stack of seeds", stacks)]


def _loss_checks(spec: LossSpec, registry: Registry) -> list[tuple[str, Callable[[], None]]]:
    users = []
    for name in registry.algorithms:
        try:
            recipe = resolve(name, registry=registry)
        except ZooError:
            continue  # another plugin's mistake, which its own check reports
        users += [(name, key) for key, b in recipe.losses.items() if b.spec.name == spec.name]

    def described() -> None:
        _require(bool(spec.minimises), "the spec does not say what the loss minimises")
        silent = [n for n, f in spec.config.model_fields.items() if not f.description]
        _require(not silent, f"settings without a meaning: {', '.join(silent)}")
        spec.reads_with(spec.config())

    def used() -> None:
        for name, (stage, update, _) in users:
            recipe = _small(resolve(name, registry=registry), registry)
            _trainer(_alone(recipe, stage, update)).run()

    checks = [("is described", described)]
    return checks + ([("can be minimised in each algorithm that names it", used)] if users else [])
