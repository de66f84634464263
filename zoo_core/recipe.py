"""A recipe: an algorithm with every setting resolved and every pairing checked.

`resolve("diffusion_ql", ["critic.hidden=512"])` asks the algorithm for its parts, stages and acts,
applies the changes by path, and refuses what cannot work. The paths are

    steps, batch_size, ...               the algorithm's own settings
    sampler                              which registered sampler (or critic) the part is
    sampler.steps                        a setting of that part
    train.steps, train.batch.size        of the stage `train`
    train.actor.every                    of its update `actor`
    train.actor.nll                      which registered loss the term is
    train.actor.nll.weight               the term's weight, and the loss's own settings
    train.actor.optimizer.sampler.lr     of the optimizer of a trained part
    train.emas.critic.rate               of an exponential average
    acts.act.n                           of a way of acting
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from zoo_core import registry as registry_module
from zoo_core.config import AlgorithmConfig, Config, Setting, explain, parse_assignments
from zoo_core.data import Space
from zoo_core.diffusion.solver import Solver
from zoo_core.errors import BrokenPlugin, Incompatible, UnknownName, ZooError
from zoo_core.noise import GeneratorNoise
from zoo_core.process import answer
from zoo_core.protocols import (
    ABILITIES,
    Critic,
    HasMode,
    HasNll,
    HasScale,
    HasSolver,
    Sampler,
    ValueFunction,
)
from zoo_core.registry import Registry
from zoo_core.schedules import Schedule
from zoo_core.specs import (
    Act,
    AlgorithmSpec,
    CriticSpec,
    LossSpec,
    Part,
    SamplerSpec,
    Stage,
    Term,
    Transitions,
    Update,
)

SCORED = ("argmax", "softmax", "expectile")
"""Ways of choosing that need a score."""


@dataclasses.dataclass(frozen=True)
class BoundPart:
    """A part's registered spec with its validated settings."""

    spec: SamplerSpec | CriticSpec
    config: Config

    def build(self, space: Space) -> nn.Module:
        """The part's module, its parameters drawn from torch's global generator."""
        return self.spec.build(self.config, space)


@dataclasses.dataclass(frozen=True)
class BoundLoss:
    """A term's registered loss with its validated settings."""

    spec: LossSpec
    config: Config


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An algorithm that is ready to train; made by `resolve`."""

    algorithm: AlgorithmSpec
    config: AlgorithmConfig
    parts: Mapping[str, BoundPart]
    stages: tuple[Stage, ...]
    acts: tuple[Act, ...]
    losses: Mapping[tuple[str, str, str], BoundLoss]
    """By the names of stage, update and term."""
    settings: Mapping[str, Setting]
    """Every settable path, in the order of the recipe."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Recipe:
        """Itself: a recipe never changes, and copies of an agent share it."""
        return self

    @property
    def name(self) -> str:
        """The algorithm's name."""
        return self.algorithm.name

    @property
    def total_steps(self) -> int:
        """Training steps over all stages."""
        return sum(stage.steps for stage in self.stages) or self.config.steps

    @property
    def external(self) -> bool:
        """Whether the learner is external: it brings `fit` in place of parts and stages."""
        return self.algorithm.fit is not None

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The paths of the parts that have an average, in order of first mention."""
        paths = [ema.part for stage in self.stages for ema in stage.emas]
        return tuple(dict.fromkeys(paths))

    def act(self, name: str | None = None) -> Act:
        """The act of that name. Default: the headline.

        Raises:
            UnknownName: with the acts that there are.
        """
        if name is None:
            return self.acts[0]
        for act in self.acts:
            if act.name == name:
                return act
        raise UnknownName("act", name, [act.name for act in self.acts])

    def values(self) -> dict[str, Any]:
        """Every path with its value, as JSON holds it; `resolve(name, values)` gives it back."""
        return {path: setting.value for path, setting in self.settings.items()}


def resolve(
    name: str,
    settings: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    *,
    defaults: Mapping[str, Any] | None = None,
    dataset: str | None = None,
    tuned: bool = False,
    registry: Registry | None = None,
) -> Recipe:
    """An algorithm with its settings resolved.

    Args:
        name: Of a registered algorithm.
        settings: Values by path, or assignments such as `critic.hidden=512`.
        defaults: Values by path that apply where the path exists, below `settings`.
        dataset: The dataset's id or expression; needed by `tuned`.
        tuned: Whether the algorithm's values for that dataset apply.
        registry: Registered plugins. Default: the installed ones.

    Raises:
        UnknownName: an algorithm, a path, a part or a loss that nobody registered.
        ZooError: a value out of its range.
        Incompatible: parts that lack what a loss or an act needs.
    """
    known = registry or registry_module.installed()
    spec = known.algorithm(name)
    asked = parse_assignments(settings)
    optional = dict(defaults or {})
    if tuned:
        optional = {**tuned_values(spec, dataset or ""), **optional}
    return answer(lambda: _resolved(spec, asked, optional, known), f"algorithm '{name}'")


def _resolved(
    spec: AlgorithmSpec, asked: Mapping[str, Any], optional: Mapping[str, Any], registry: Registry
) -> Recipe:
    walk = _Walk({**optional, **asked}, registry)
    recipe = walk.recipe(spec)
    unused = [path for path in asked if path not in walk.settings]
    if unused:
        raise UnknownName(
            f"setting of {spec.name}",
            unused[0],
            walk.settings,
            f"('zoo show {spec.name}' lists them)",
        )
    _check(recipe)
    return recipe


def tuned_values(spec: AlgorithmSpec, dataset: str) -> dict[str, Any]:
    """The paper's values for a dataset: those of all matching patterns, later over earlier.

    A pattern that begins with `*/` also matches an id without a slash before the match, so that
    `*/pen[/-]*` is of `D4RL/pen/human-v2` and `pen-human-v1`, and not of `pointmaze/open-v2`.
    """
    values: dict[str, Any] = {}
    for pattern, changes in spec.tuned.items():
        if _of_dataset(pattern, dataset):
            values.update(changes)
    return values


def tuning_evaluations(spec: AlgorithmSpec, dataset: str) -> int | None:
    """Training runs that the search behind the tuned values of a dataset spent on it; None where
    that is not known. Patterns are those of `tuned_values`."""
    spent = [n for pattern, n in spec.tuning_evaluations.items() if _of_dataset(pattern, dataset)]
    return spent[-1] if spent else None


def _of_dataset(pattern: str, dataset: str) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for text in (dataset, f"/{dataset}"))


class _Walk:
    """One pass over a recipe that applies changes by path and lists every path."""

    def __init__(self, changes: Mapping[str, Any], registry: Registry) -> None:
        self.changes = changes
        self.registry = registry
        self.settings: dict[str, Setting] = {}

    def recipe(self, spec: AlgorithmSpec) -> Recipe:
        try:
            initial = spec.config()
        except Exception as error:
            detail = str(error).split("\n")[0]
            if isinstance(error, ValidationError):
                detail = explain(error, "", {})
            raise BrokenPlugin(
                f"algorithm '{spec.name}': its settings have no valid defaults: {detail}"
            ) from error
        config = self.model(initial, "")
        assert isinstance(config, AlgorithmConfig)
        named = _described(spec, "parts", config, {})
        parts = {name: self.part(part, name) for name, part in named.items()}
        losses: dict[tuple[str, str, str], BoundLoss] = {}
        stages = tuple(
            self.stage(stage, config.batch_size, losses)
            for stage in _described(spec, "stages", config, ())
        )
        acts = tuple(
            self.model(act, f"acts.{act.name}", skip=("name",))
            for act in _described(spec, "acts", config, ())
        )
        return Recipe(spec, config, parts, stages, acts, losses, self.settings)

    def model(self, model: Any, prefix: str, skip: tuple[str, ...] = ()) -> Any:
        """The settings object with the changes below `prefix`; lists its fields."""
        fields = {k: v for k, v in type(model).model_fields.items() if k not in skip}
        paths = {field: f"{prefix}.{field}" if prefix else field for field in fields}
        changes = {f: self.changes[p] for f, p in paths.items() if p in self.changes}
        try:
            updated = model.updated(changes) if changes else model
        except ValidationError as error:
            raise ZooError(explain(error, prefix, changes)) from None
        shown = updated.model_dump(mode="json")
        for field, info in fields.items():
            self.note(paths[field], shown[field], info.description or "", info.annotation)
        return updated

    def value(self, path: str, value: Any, kind: Any, meaning: str) -> Any:
        """A single value, changed where `path` is, validated as `kind`."""
        adapter: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
        given = self.changes.get(path, value)
        try:
            checked = adapter.validate_python(given)
        except ValidationError as error:
            raise ZooError(explain(error, path, given)) from None
        self.note(path, adapter.dump_python(checked, mode="json"), meaning, kind)
        return checked

    def note(self, path: str, value: Any, meaning: str, annotation: Any) -> None:
        if path in self.settings:
            raise ZooError(f"the path '{path}' names two settings; rename one of them")
        self.settings[path] = Setting(path, value, " ".join(meaning.split()), _kind(annotation))

    def part(self, part: Part, name: str) -> BoundPart:
        chosen = self.value(name, part.spec, str, "The registered sampler or critic.")
        spec = self.registry.part(chosen)
        # A swapped part starts from its own defaults: the old one's settings mean nothing to it.
        given = part.settings if chosen == part.spec else {}
        return BoundPart(spec, self.model(_settings(spec.config, given, name), name))

    def stage(
        self, stage: Stage, batch_size: int, losses: dict[tuple[str, str, str], BoundLoss]
    ) -> Stage:
        at = stage.name
        steps = self.value(f"{at}.steps", stage.steps, int, "Steps of the stage.")
        batch = self.model(stage.batch or Transitions(size=batch_size), f"{at}.batch")
        updates = tuple(self.update(update, at, losses) for update in stage.updates)
        emas = tuple(
            self.model(e, f"{at}.emas.{e.part}", skip=("part", "after")) for e in stage.emas
        )
        return dataclasses.replace(stage, steps=steps, batch=batch, updates=updates, emas=emas)

    def update(
        self, update: Update, stage: str, losses: dict[tuple[str, str, str], BoundLoss]
    ) -> Update:
        at = f"{stage}.{update.name}"
        every = self.value(f"{at}.every", update.every, int, "Steps between updates.")
        if every < 1:
            raise ZooError(f"{at}.every: must be at least 1 (got {every})")
        trains = {
            part: self.model(adam, f"{at}.optimizer.{part}") for part, adam in update.trains.items()
        }
        terms = []
        for term in update.losses:
            bound, weighted = self.term(term, f"{at}.{term.name}")
            losses[stage, update.name, term.name] = bound
            terms.append(weighted)
        return dataclasses.replace(update, every=every, trains=trains, losses=tuple(terms))

    def term(self, term: Term, path: str) -> tuple[BoundLoss, Term]:
        chosen = self.value(path, term.loss, str, "The registered loss.")
        weight = self.value(
            f"{path}.weight", term.weight, float | Schedule, "Factor of the term in its update."
        )
        # A plugin's own term may be one to maximise; a sign from outside turns a loss around.
        if _least(weight) < 0.0 <= _least(term.weight):
            raise ZooError(f"{path}.weight: must not be negative (got {_least(weight):g})")
        spec = self.registry.loss(chosen)
        given = term.settings if chosen == term.loss else {}
        config = self.model(_settings(spec.config, given, path), path)
        return BoundLoss(spec, config), Term(chosen, weight=weight, name=term.name, **given)


def _described(spec: AlgorithmSpec, what: str, config: Config, none: Any) -> Any:
    """What the algorithm's own function returns; a plugin's mistake becomes one line."""
    function = getattr(spec, what)
    if function is None:
        return none
    kind = {"parts": Part, "stages": Stage, "acts": Act}[what]
    try:
        given = function(config)
        values = list(given.values()) if what == "parts" else list(given)
    except Exception as error:
        detail = str(error).split("\n")[0]
        raise BrokenPlugin(
            f"algorithm '{spec.name}': its {what}() raised {type(error).__name__}: {detail}"
        ) from error
    for value in values:
        if not isinstance(value, kind):
            raise BrokenPlugin(
                f"algorithm '{spec.name}': its {what}() gave a {type(value).__name__}, "
                f"not a {kind.__name__}"
            )
    return given


def _settings(kind: type[Config], given: Mapping[str, Any], where: str) -> Config:
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        raise ZooError(explain(error, where, given)) from None


def _least(value: float | Schedule) -> float:
    return min(value.start, value.end) if isinstance(value, Schedule) else value


def _kind(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for noise in ("typing.", "zoo_core.schedules.", "<class '", "'>"):
        text = text.replace(noise, "")
    return text


def _check(recipe: Recipe) -> None:
    """Refuses what cannot work, before any data loads."""
    if recipe.external:
        return
    _check_names(recipe)
    _check_columns(recipe)
    modules = _trial_modules(recipe)
    for stage in recipe.stages:
        for ema in stage.emas:
            averages = f"{stage.name} averages"
            _find(recipe, modules, _live(ema.part, averages), averages)
            if ema.after not in {None, *(update.name for update in stage.updates)}:
                raise UnknownName(
                    f"update of {stage.name}", str(ema.after), [u.name for u in stage.updates]
                )
        for part in stage.reset:
            _find(recipe, modules, _live(part, f"{stage.name} resets"), f"{stage.name} resets")
        for path in stage.prepare_reads:
            if path not in recipe.settings:
                _find(recipe, modules, path, f"{stage.name}'s prepare reads")
        for update in stage.updates:
            at = f"{stage.name}.{update.name}"
            for part in update.trains:
                _find(recipe, modules, _live(part, f"{at} trains"), f"{at} trains")
            for part, other in itertools.combinations(update.trains, 2):
                if _overlap(part, other):
                    raise Incompatible(
                        f"{at} trains '{part}' and '{other}', which have parameters in common"
                    )
            for term in update.losses:
                bound = recipe.losses[stage.name, update.name, term.name]
                for path, abilities in bound.spec.reads_with(bound.config).items():
                    module = _find(recipe, modules, path, f"loss '{bound.spec.name}' reads")
                    for ability in abilities:
                        _demand(recipe, path, module, ability, f"loss '{bound.spec.name}'")
    for act in recipe.acts:
        sampler = _find(recipe, modules, act.sampler, f"act '{act.name}' uses")
        _demand(recipe, act.sampler, sampler, Sampler, f"act '{act.name}'")
        if act.choose == "mode":
            _demand(recipe, act.sampler, sampler, HasMode, f"act '{act.name}'")
        if act.solver is not None:
            _demand(recipe, act.sampler, sampler, HasSolver, f"act '{act.name}'")
            _check_solver(act, act.solver, sampler)
        if act.scale is not None:
            _demand(recipe, act.sampler, sampler, HasScale, f"act '{act.name}'")
        if act.choose not in SCORED and act.score is not None:
            raise Incompatible(f"act '{act.name}' names a critic but does not choose by a score")
        if act.choose in SCORED:
            if act.score is None:
                raise Incompatible(f"act '{act.name}' chooses by a score but names no critic")
            critic = _find(recipe, modules, act.score, f"act '{act.name}' scores by")
            _demand(recipe, act.score, critic, Critic, f"act '{act.name}'")
        if act.choose == "expectile":
            value = _find(recipe, modules, act.value, f"act '{act.name}' compares with")
            _demand(recipe, act.value, value, ValueFunction, f"act '{act.name}'")
        _check_trained(recipe, modules, act)


def _check_names(recipe: Recipe) -> None:
    if not recipe.stages or not recipe.acts or not recipe.parts:
        raise Incompatible(f"algorithm '{recipe.name}' needs parts, stages and acts, or a fit")
    taken = {"acts", *type(recipe.config).model_fields, *recipe.parts}
    for stage in recipe.stages:
        if stage.name in taken:
            raise Incompatible(f"stage '{stage.name}' has the name of a part or of a setting")
        if stage.steps < 0:
            raise ZooError(f"{stage.name}.steps: must not be negative (got {stage.steps})")
        for update in stage.updates:
            if not update.trains or not update.losses:
                raise Incompatible(f"update '{update.name}' needs parts to train and losses")
    if not any(stage.steps for stage in recipe.stages):
        paths = ", ".join(f"{stage.name}.steps" for stage in recipe.stages)
        rest = "one of them must" if len(recipe.stages) > 1 else "must"
        raise ZooError(f"{paths}: {rest} be above 0, so that something is trained (got 0)")


def _check_columns(recipe: Recipe) -> None:
    """Refuses a loss that reads a column that no stage before it prepares."""
    prepared: set[str] = set()
    for stage in recipe.stages:
        if stage.prepare is not None:
            if stage.prepares is None:
                return  # What such a stage adds is known when it runs.
            prepared |= set(stage.prepares)
        for update in stage.updates:
            for term in update.losses:
                bound = recipe.losses[stage.name, update.name, term.name]
                for column in bound.spec.columns_with(bound.config):
                    if column not in prepared:
                        raise Incompatible(
                            f"{stage.name}.{update.name}.{term.name}: loss '{bound.spec.name}' "
                            f"reads the column '{column}', which no stage has prepared by then; "
                            f"prepared: {', '.join(sorted(prepared)) or 'none'}"
                        )


def _check_trained(recipe: Recipe, modules: Mapping[str, nn.Module], act: Act) -> None:
    """Refuses an act that reads weights that no update trains."""
    paths = [act.sampler]
    if act.choose in SCORED:
        paths.append(str(act.score))
    if act.choose == "expectile":
        paths.append(act.value)
    for path in (path.removeprefix("target.") for path in paths):
        module = _find(recipe, modules, path, f"act '{act.name}' reads")
        if not any(parameter.requires_grad for parameter in module.parameters()):
            continue
        if not _losses_on(recipe, path):
            raise Incompatible(f"act '{act.name}' reads '{path}', which no update trains")
        name = path.partition(".")[0]
        spec = recipe.parts[name].spec
        for below in spec.beyond_nll if isinstance(spec, SamplerSpec) else ():
            beyond = f"{name}.{below}"
            if _overlap(beyond, path) and not any(
                _does_more_than_clone(losses, beyond) for losses in _losses_on(recipe, beyond)
            ):
                raise Incompatible(
                    f"act '{act.name}' reads '{beyond}', which no update trains: cloning leaves it "
                    f"out of sampler '{spec.name}'; set {name} to another sampler"
                )


def _losses_on(recipe: Recipe, path: str) -> list[list[BoundLoss]]:
    """The losses of each update that trains something at `path`."""
    return [
        [recipe.losses[stage.name, update.name, term.name] for term in update.losses]
        for stage in recipe.stages
        for update in stage.updates
        if stage.steps and any(_overlap(path, trained) for trained in update.trains)
    ]


def _does_more_than_clone(losses: list[BoundLoss], path: str) -> bool:
    return any(
        abilities != (HasNll,)
        for loss in losses
        for read, abilities in loss.spec.reads_with(loss.config).items()
        if _overlap(path, read)
    )


def _trial_modules(recipe: Recipe) -> dict[str, nn.Module]:
    modules = {}
    with torch.random.fork_rng(devices=[]):
        for name, part in recipe.parts.items():
            try:
                modules[name] = part.build(Space(2, 2))
            except ValueError as error:
                raise ZooError(f"{name}: {error}") from error
    return modules


def _check_solver(act: Act, solver: Solver, sampler: Any) -> None:
    """Refuses a solver that the sampler's process cannot follow, by one sample."""
    try:
        with torch.no_grad():
            sampler.sample_with(solver, torch.zeros(1, 2), GeneratorNoise(torch.Generator()))
    except (ValueError, ArithmeticError) as error:
        raise Incompatible(f"acts.{act.name}.solver: {error}") from error


def _live(path: str, why: str) -> str:
    """The path, which must not be that of an average."""
    if path.startswith("target."):
        raise Incompatible(f"{why} '{path}': name the part itself, whose average follows it")
    return path


def _find(recipe: Recipe, modules: Mapping[str, nn.Module], path: str, why: str) -> nn.Module:
    live = path.removeprefix("target.")
    name, _, below = live.partition(".")
    if name not in modules:
        raise Incompatible(f"{why} '{path}', but the parts are {', '.join(modules)}")
    if path != live and not any(_overlap(live, target) for target in recipe.targets):
        raise Incompatible(f"{why} '{path}', but no stage averages '{live}'")
    try:
        return modules[name].get_submodule(below)
    except AttributeError:
        raise Incompatible(
            f"{why} '{path}', but {_kind_of(recipe, name)} '{recipe.parts[name].spec.name}' "
            f"has no part '{below}'"
        ) from None


def _overlap(path: str, target: str) -> bool:
    return f"{target}.".startswith(f"{path}.") or f"{path}.".startswith(f"{target}.")


def _kind_of(recipe: Recipe, name: str) -> str:
    return "sampler" if isinstance(recipe.parts[name].spec, SamplerSpec) else "critic"


def _demand(recipe: Recipe, path: str, module: nn.Module, ability: type, who: str) -> None:
    if isinstance(module, ability):
        return
    name = path.removeprefix("target.").partition(".")[0]
    described = ABILITIES.get(ability, ability.__name__)
    raise Incompatible(
        f"{who} needs {described}; {_kind_of(recipe, name)} "
        f"'{recipe.parts[name].spec.name}' has none"
    )
