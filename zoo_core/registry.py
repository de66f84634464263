"""How plugins are found: one by one, so that a broken one is reported and all others work.

A plugin is a module with hook implementations, named by an entry point in the group `zoo`.
`ZOO_PLUGINS` limits loading to a comma-separated list (empty: none but the built-in parts),
`ZOO_DISABLE_PLUGINS` switches some off; both take entry points' or distributions' names.
"""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points, version
from types import ModuleType
from typing import Any, Generic, TypeVar

import click
import pluggy

from zoo_core import hookspecs
from zoo_core.config import Config
from zoo_core.errors import UnknownName
from zoo_core.specs import AlgorithmSpec, CriticSpec, LossSpec, SamplerSpec
from zoo_core.tracking import TrackerSpec

GROUP = "zoo"
ONLY_VARIABLE = "ZOO_PLUGINS"
DISABLE_VARIABLE = "ZOO_DISABLE_PLUGINS"


@dataclass(frozen=True)
class Plugin:
    """Where a registered thing comes from."""

    name: str
    """The entry point's name."""
    distribution: str
    version: str
    module: str
    hooks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Failure:
    """What went wrong with a plugin, or with one thing that it offers."""

    plugin: Plugin
    reason: str
    traceback: str = ""


T = TypeVar("T")


@dataclass(frozen=True)
class Registered(Generic[T]):
    """A spec and the plugin that offered it."""

    spec: T
    plugin: Plugin


@dataclass
class Registry:
    """All that the loaded plugins offer, by name, and what failed."""

    samplers: dict[str, Registered[SamplerSpec]] = field(default_factory=dict)
    critics: dict[str, Registered[CriticSpec]] = field(default_factory=dict)
    losses: dict[str, Registered[LossSpec]] = field(default_factory=dict)
    algorithms: dict[str, Registered[AlgorithmSpec]] = field(default_factory=dict)
    trackers: dict[str, Registered[TrackerSpec]] = field(default_factory=dict)
    commands: dict[str, Registered[click.Command]] = field(default_factory=dict)
    plugins: list[Plugin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def algorithm(self, name: str) -> AlgorithmSpec:
        """The algorithm of that name.

        Raises:
            UnknownName: with the nearest names.
        """
        return self._find("algorithm", self.algorithms, name).spec

    def part(self, name: str) -> SamplerSpec | CriticSpec:
        """The sampler or critic of that name."""
        both: dict[str, Registered[Any]] = {**self.samplers, **self.critics}
        spec = self._find("part", both, name).spec
        assert isinstance(spec, SamplerSpec | CriticSpec)
        return spec

    def loss(self, name: str) -> LossSpec:
        """The loss of that name."""
        return self._find("loss", self.losses, name).spec

    def tracker(self, name: str) -> TrackerSpec:
        """The tracker of that name."""
        return self._find("tracker", self.trackers, name).spec

    def _find(self, kind: str, table: Mapping[str, Registered[T]], name: str) -> Registered[T]:
        if name not in table:
            failed = ", ".join(sorted({str(f.plugin.distribution) for f in self.failures}))
            hint = f"(failed to load: {failed}; see 'zoo plugins')" if failed else ""
            raise UnknownName(kind, name, table, hint)
        return table[name]

    def add(self, module: ModuleType | object, plugin: Plugin) -> None:
        """Registers a plugin's module and calls its hooks; failures are kept, never raised."""
        manager = pluggy.PluginManager("zoo")
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(module, name=plugin.name)
            manager.check_pending()
        except Exception as error:
            self._fail(plugin, error)
            return
        callers = [
            caller for caller in manager.get_hookcallers(module) or () if caller.get_hookimpls()
        ]
        plugin = Plugin(
            plugin.name,
            plugin.distribution,
            plugin.version,
            plugin.module,
            tuple(sorted(caller.name for caller in callers)),
        )
        self.plugins.append(plugin)
        for caller in callers:
            try:
                gives: Callable[..., Any] = caller.get_hookimpls()[0].function
                offered = list(gives())
            except (Exception, SystemExit) as error:
                self._fail(plugin, error, f"{caller.name}() ")
                continue
            for spec in offered:
                self._offer(caller.name, spec, plugin)

    def _offer(self, hook: str, spec: Any, plugin: Plugin) -> None:
        kind, expected = HOOKS[hook]
        if not isinstance(spec, expected):
            reason = f"{hook}() gave a {type(spec).__name__}, not a {expected.__name__}"
            self.failures.append(Failure(plugin, reason))
            return
        name: Any = spec.name
        if not isinstance(name, str) or not name:
            self.failures.append(Failure(plugin, f"{hook}() gave a {kind} without a name"))
            return
        reserved = {"weight", "name"} & set(getattr(spec, "config", Config).model_fields)
        if kind == "loss" and reserved:
            reason = f"the loss '{name}' has a setting '{min(reserved)}', which every term has"
            self.failures.append(Failure(plugin, reason))
            return
        tables: dict[str, list[dict[str, Registered[Any]]]] = {
            # A part is named without saying which kind it is, so the two share their names.
            "sampler": [self.samplers, self.critics],
            "critic": [self.critics, self.samplers],
            "loss": [self.losses],
            "algorithm": [self.algorithms],
            "tracker": [self.trackers],
            "command": [self.commands],
        }
        for table in tables[kind]:
            if name in table:
                owner = table[name].plugin
                reason = (
                    f"the {kind} '{name}' of {plugin} clashes with that of {owner}, which keeps "
                    f"the name; uninstall or switch off one of them"
                )
                self.failures.append(Failure(plugin, reason))
                return
        tables[kind][0][name] = Registered(spec, plugin)

    def _fail(self, plugin: Plugin, error: BaseException, where: str = "") -> None:
        text = "".join(traceback.format_exception(error)).rstrip()
        detail = str(error).strip().split("\n")[0]
        reason = f"{where}raised {type(error).__name__}" + (f": {detail}" if detail else "")
        self.failures.append(Failure(plugin, reason, text))


HOOKS: dict[str, tuple[str, Any]] = {
    "zoo_samplers": ("sampler", SamplerSpec),
    "zoo_critics": ("critic", CriticSpec),
    "zoo_losses": ("loss", LossSpec),
    "zoo_algorithms": ("algorithm", AlgorithmSpec),
    "zoo_trackers": ("tracker", TrackerSpec),
    "zoo_commands": ("command", click.Command),
}
"""Each hook's kind of thing and the type that it must give."""


def load(
    only: Iterable[str] | None = None,
    disable: Iterable[str] = (),
    found: Iterable[EntryPoint] | None = None,
) -> Registry:
    """Loads the built-in parts and the installed plugins.

    Args:
        only: Limits loading to these names; none for all (`ZOO_PLUGINS` where it is set).
        disable: Names to leave out, beside those in `ZOO_DISABLE_PLUGINS`.
        found: The entry points to load; none for the installed ones.
    """
    from zoo_core import builtin

    wanted = _names(ONLY_VARIABLE) if only is None else set(only)
    unwanted = set(disable) | (_names(DISABLE_VARIABLE) or set())
    registry = Registry()
    registry.add(builtin, Plugin("builtin", "zoo-core", _version("zoo-core"), builtin.__name__))
    points = entry_points(group=GROUP) if found is None else found
    for point in sorted(points, key=_order):
        distribution, number = _distribution(point)
        names = {point.name, distribution}
        if names & unwanted or (wanted is not None and not names & wanted):
            continue
        plugin = Plugin(point.name, distribution, number, point.module)
        try:
            module = point.load()
        except (Exception, SystemExit) as error:
            registry._fail(plugin, error, f"import of {point.module} ")
            continue
        registry.add(module, plugin)
    return registry


@functools.cache
def installed() -> Registry:
    """The installed plugins, loaded once a process."""
    return load()


def disable(names: Iterable[str]) -> None:
    """Switches plugins off for this process and those that it starts."""
    unwanted = (_names(DISABLE_VARIABLE) or set()) | set(names)
    os.environ[DISABLE_VARIABLE] = ",".join(sorted(unwanted))
    installed.cache_clear()


def _order(point: EntryPoint) -> tuple[bool, str, str]:
    """Of two that offer one name the first keeps it: the project's own come before others."""
    distribution = _distribution(point)[0]
    return not distribution.startswith("zoo-"), distribution, point.name


def _names(variable: str) -> set[str] | None:
    text = os.environ.get(variable)
    return None if text is None else {name.strip() for name in text.split(",") if name.strip()}


def _distribution(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except Exception:
        return "unknown"
