"""Pages of text about what is registered: `zoo plugins` and `zoo show`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from zoo_core.config import Config
from zoo_core.protocols import ABILITIES
from zoo_core.recipe import Recipe, resolve
from zoo_core.registry import Registered, Registry
from zoo_core.schedules import Schedule
from zoo_core.specs import (
    Act,
    AlgorithmSpec,
    CriticSpec,
    LossSpec,
    SamplerSpec,
    Stage,
    Term,
    Update,
    Windows,
)

WIDTH = 100


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Left-aligned columns; the last one is wrapped to the page."""
    everything = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in everything) for i in range(len(header) - 1)]
    indent = sum(widths) + 2 * len(widths)
    lines = []
    for row in everything:
        start = "".join(cell.ljust(width + 2) for cell, width in zip(row, widths, strict=False))
        wrapped = textwrap.wrap(row[-1], max(WIDTH - indent, 30)) or [""]
        lines.append((start + wrapped[0]).rstrip())
        lines += [" " * indent + more for more in wrapped[1:]]
    return "\n".join(lines)


def plugins_page(registry: Registry, with_traceback: bool = False) -> str:
    """Name, distribution, version and hooks of each plugin, what it offers, and what failed."""
    rows = []
    for plugin in registry.plugins:
        offered = [
            name
            for kind in (
                registry.algorithms,
                registry.samplers,
                registry.critics,
                registry.losses,
                registry.trackers,
                registry.commands,
            )
            for name, entry in kind.items()
            if entry.plugin == plugin
        ]
        hooks = " ".join(hook.removeprefix("zoo_") for hook in plugin.hooks)
        rows.append(
            [plugin.name, plugin.distribution, plugin.version, hooks, ", ".join(offered) or "-"]
        )
    page = [table(rows, ["plugin", "distribution", "version", "hooks", "offers"])]
    if registry.failures:
        page.append("\nfailed:")
        for failure in registry.failures:
            page.append(f"  {failure.plugin.name} ({failure.plugin}): {failure.reason}")
            if with_traceback and failure.traceback:
                page.append(textwrap.indent(failure.traceback, "    "))
        if not with_traceback:
            page.append("  (zoo plugins --traceback shows where)")
    if registry.changes:
        page.append("\nchanged the process, which was undone:")
        for change in registry.changes:
            settings = ", ".join(change.settings)
            page.append(f"  {change.plugin.name} ({change.plugin}): {change.where}: {settings}")
    return "\n".join(page)


def algorithm_page(name: str, settings: list[str], registry: Registry) -> str:
    """Parts, stages, terms, acts, sources, deviations and every settable path."""
    recipe = resolve(name, settings, registry=registry)
    default = resolve(name, registry=registry)
    spec = recipe.algorithm
    plugin = registry.algorithms[name].plugin
    page = [f"{name}: {spec.summary}", f"plugin {plugin.name}, from {plugin}"]
    if recipe.external:
        page.append("an external learner: it brings its own fit and act")
    page += ["", *_sources(recipe), ""]
    if recipe.parts:
        page += ["parts"] + [
            f"  {part} = {bound.spec.name}" + (f"   ({bound.spec.cite})" if bound.spec.cite else "")
            for part, bound in recipe.parts.items()
        ]
    for stage in recipe.stages:
        page += ["", *stage_lines(recipe, stage)]
    if recipe.acts:
        page += ["", "acts by"]
        for position, act in enumerate(recipe.acts):
            page.append(
                f"  {act.name}: {act_text(act)}" + ("   (headline)" if position == 0 else "")
            )
    page += ["", "settings (change them by --set PATH=VALUE)"]
    if spec.paper:
        page.append("  the plugin's README says which of the paper's values were checked")
    rows = []
    for path, setting in recipe.settings.items():
        base = default.settings.get(path)
        shown = value_text(setting.value)
        if base is not None and base.value != setting.value:
            shown += f" (default {value_text(base.value)})"
        paper = value_text(spec.paper[path]) if path in spec.paper else ""
        rows.append([f"  {path}", shown, paper, setting.meaning])
    page.append(table(rows, ["  path", "value", "paper", "meaning"]))
    if spec.tuned:
        page += ["", "tuned by dataset (the paper's per-dataset values)"]
        for pattern, values in spec.tuned.items():
            listed = ", ".join(f"{path}={value_text(value)}" for path, value in values.items())
            page += _wrapped(f"{pattern}: {listed}")
        page += _wrapped(f"search behind them: {_search(spec)}")
    page += ["", "deviations from the paper or its official code"]
    page += [line for text in spec.deviations or ("none known",) for line in _wrapped(text, "- ")]
    return "\n".join(page)


def _search(spec: AlgorithmSpec) -> str:
    """What finding the tuned values cost."""
    if not spec.tuning_evaluations:
        return "not known" + (f" ({spec.tuning_source})" if spec.tuning_source else "")
    spent = ", ".join(f"{n} for {pattern}" for pattern, n in spec.tuning_evaluations.items())
    return f"training runs a dataset: {spent} ({spec.tuning_source})"


def _sources(recipe: Recipe) -> list[str]:
    cite = recipe.algorithm.cite
    lines = _wrapped(f"{cite.authors} ({cite.year}). {cite.title}. {cite.url}", "")
    return lines + ([f"  official code: {cite.code}"] if cite.code else [])


def stage_lines(recipe: Recipe, stage: Stage) -> list[str]:
    """A stage with its updates, weighted losses and averages, indented as `zoo show` prints it."""
    batch = stage.batch
    kind = f"windows of {batch.horizon}" if isinstance(batch, Windows) else "transitions"
    size = batch.size if batch is not None else recipe.config.batch_size
    lines = [f"stage {stage.name}: {stage.steps} steps of {size} {kind}"]
    for update in stage.updates:
        every = f" every {update.every} steps" if update.every > 1 else ""
        lines.append(f"  update {update.name}{every}, trains {', '.join(update.trains)}")
        for term in update.losses:
            lines += _term(recipe, stage, update, term)
    for ema in stage.emas:
        start = f" from step {ema.start}" if ema.start is not None else ""
        every = f" every {ema.every} steps" if ema.every > 1 else " every step"
        after = f" after {ema.after}" if ema.after is not None else ""
        lines.append(f"  average target.{ema.part}: rate {ema.rate:g}{every}{start}{after}")
    if stage.prepare is not None:
        first = (stage.prepare.__doc__ or "").strip().split("\n")[0]
        lines.insert(1, f"  prepares columns: {first}".rstrip(": "))
    if stage.reset:
        lines.insert(1, f"  starts from scratch: {', '.join(stage.reset)}")
    return lines


def _term(recipe: Recipe, stage: Stage, update: Update, term: Term) -> list[str]:
    bound = recipe.losses[stage.name, update.name, term.name]
    label = term.name if term.name == term.loss else f"{term.name} ({term.loss})"
    lines = [f"    {_weight(term.weight)} x {label}: {bound.spec.minimises}"]
    given = ", ".join(
        f"{k}={value_text(v)}" for k, v in bound.config.model_dump(mode="json").items()
    )
    return lines + ([f"      with {given}"] if given else [])


def _weight(weight: float | Schedule) -> str:
    if isinstance(weight, Schedule):
        return f"({weight.start:g} to {weight.end:g}, {weight.shape})"
    return f"{weight:g}"


def act_text(act: Act) -> str:
    """How an act chooses an action, in a few words."""
    if act.choose == "mode":
        return f"the mode of {act.sampler}"
    if act.choose == "sample":
        scale = "" if act.scale is None else f" at scale {act.scale:g}"
        return f"one sample of {act.sampler}{scale}"
    if act.choose == "mode_or_sample":
        return f"the mode of {act.sampler}, or one sample where it has none"
    softmax = f"a softmax (temperature {act.temperature:g})"
    expectile = (
        f"a draw with weight {act.expectile:g} above {act.value}, {1 - act.expectile:g} below,"
    )
    best = {"argmax": "the best", "softmax": softmax, "expectile": expectile}[act.choose]
    return f"{best} of {act.n} samples of {act.sampler} by the {act.reduce} of {act.score}"


def part_page(name: str, registry: Registry) -> str | None:
    """A sampler, critic or loss: what it is, its settings and its source; None if unknown."""
    tables: Iterable[tuple[str, dict[str, Registered[Any]]]] = (
        ("sampler", registry.samplers),
        ("critic", registry.critics),
        ("loss", registry.losses),
    )
    for kind, entries in tables:
        if name in entries:
            spec: SamplerSpec | CriticSpec | LossSpec = entries[name].spec
            page = [f"{name}: a {kind} of {entries[name].plugin}"]
            if spec.cite:
                page.append(f"source: {spec.cite}")
            if isinstance(spec, LossSpec):
                page.append(f"minimises: {spec.minimises}")
                for path, abilities in spec.reads_with(spec.config()).items():
                    needed = " and ".join(ABILITIES.get(a, a.__name__) for a in abilities)
                    page.append(f"reads {path}: {needed}")
            rows = _fields(spec.config())
            if rows:
                page += ["", table(rows, ["setting", "default", "meaning"])]
            return "\n".join(page)
    return None


def _fields(config: Config) -> list[list[str]]:
    values = config.model_dump(mode="json")
    return [
        [field, value_text(values[field]), " ".join((info.description or "").split())]
        for field, info in type(config).model_fields.items()
    ]


def _wrapped(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="  " + bullet, subsequent_indent="  " + " " * len(bullet)
    )


def value_text(value: Any) -> str:
    """A setting's value, short."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
