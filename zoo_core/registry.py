"""How plugins are found: one by one, so that a broken one is reported and all others work.

A plugin is a module with hook implementations, named by an entry point in the group `zoo`. Its
import and its hooks are guarded (`zoo_core.process`): whatever they raise is a failure of the
plugin, `ZOO_PLUGIN_SECONDS` limits their time, and what they change of the process is undone.
`ZOO_PLUGINS` limits loading to a comma-separated list (empty: none but the built-in parts),
`ZOO_DISABLE_PLUGINS` switches some off; both take entry points' or distributions' names.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint, distributions, entry_points, version
from typing import Any, Generic, TypeVar

import click
import pluggy

from zoo_core import hookspecs
from zoo_core.errors import UnknownName
from zoo_core.loaded import note_modules
from zoo_core.offers import Offer, take
from zoo_core.process import TimeUp, functions_unchanged, guarded, seconds_allowed
from zoo_core.specs import AlgorithmSpec, CriticSpec, LossSpec, SamplerSpec
from zoo_core.text import printable
from zoo_core.tracking import TrackerSpec

GROUP = "zoo"
ONLY_VARIABLE = "ZOO_PLUGINS"
DISABLE_VARIABLE = "ZOO_DISABLE_PLUGINS"
REASON_LENGTH = 200
"""Characters of a failure's reason, which is one line; the rest is in its traceback."""
CORE_COMMANDS = frozenset({"plugins", "show", "check"})
"""Commands of `zoo_core.cli`, whose names no plugin can take."""
OWN_DISTRIBUTIONS = frozenset(
    {
        "zoo-leaderboard",
        "zoo-bc",
        "zoo-bcq",
        "zoo-cql",
        "zoo-diffusion-bc",
        "zoo-diffusion-ql",
        "zoo-edp",
        "zoo-idql",
        "zoo-iql",
        "zoo-qgpo",
        "zoo-sac-off",
        "zoo-sfbc",
        "zoo-td3-bc",
    }
)
"""The project's own, which are loaded first: of two that offer one name the first keeps it."""


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


@dataclass(frozen=True)
class Change:
    """Process settings that a plugin's import or hook changed, and that were restored."""

    plugin: Plugin
    where: str
    """Place of the change, such as "import of zoo_bc"."""
    settings: tuple[str, ...]
    """Descriptions of the changed settings."""


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
    changes: list[Change] = field(default_factory=list)

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

    def add(self, module: object, plugin: Plugin) -> None:
        """Registers a plugin's module and calls its hooks; failures are kept, never raised."""
        self._register(module, plugin, _Clock())

    def load(self, point: EntryPoint) -> None:
        """Imports a plugin and registers it; failures are kept, never raised."""
        clock = _Clock()
        plugin = Plugin(printable(point.name), *_distribution(point), _module(point))
        if not plugin.module:
            value = getattr(point, "value", "")
            self._refuse(plugin, f"its entry point '{value}' is not of the form module:object")
            return
        where = f"import of {plugin.module}"
        found: list[object] = []
        with functions_unchanged() as replaced:
            if self._guarded(lambda: found.append(point.load()), plugin, where, clock):
                self._register(found[0], plugin, clock)
        if replaced:
            self.changes.append(Change(plugin, where, tuple(replaced)))

    def _register(self, module: object, plugin: Plugin, clock: _Clock) -> None:
        manager = pluggy.PluginManager("zoo")
        manager.add_hookspecs(hookspecs)
        hooks: dict[str, Callable[..., Any]] = {}

        def register() -> None:
            manager.register(module, name=plugin.name)
            manager.check_pending()
            for caller in manager.get_hookcallers(module) or ():
                for implementation in caller.get_hookimpls():
                    hooks[caller.name] = implementation.function

        if not self._guarded(register, plugin, "", clock):
            return
        plugin = replace(plugin, hooks=tuple(sorted(hooks)))
        self.plugins.append(plugin)
        for hook, gives in hooks.items():
            offers: list[Offer] = []
            if self._guarded(partial(take, hook, gives, offers), plugin, f"{hook}()", clock):
                for offer in offers:
                    self._accept(offer, plugin)
            elif clock.over:
                return

    def _accept(self, offer: Offer, plugin: Plugin) -> None:
        if offer.problem:
            self._refuse(plugin, offer.problem)
            return
        kind, name = offer.kind, offer.name
        if kind == "command" and name in CORE_COMMANDS:
            self._refuse(plugin, f"the command '{name}' clashes with zoo's own, which keeps it")
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
                self._refuse(plugin, reason)
                return
        tables[kind][0][name] = Registered(offer.spec, plugin)

    def _guarded(self, call: Callable[[], Any], plugin: Plugin, where: str, clock: _Clock) -> bool:
        """Whether a call of the plugin's code ended well; notes its failure and its changes."""
        outcome = guarded(call, clock.left)
        if outcome.changes:
            self.changes.append(Change(plugin, where, outcome.changes))
        if isinstance(outcome.error, TimeUp):
            clock.over = True
            self._refuse(plugin, f"{where} took longer than {clock.limit:g} s (ZOO_PLUGIN_SECONDS)")
        elif outcome.error is not None:
            # An exception's text is the plugin's code too.
            described = guarded(lambda: _described(outcome.error), clock.left)
            reason, text = described.value or (f"raised {type(outcome.error).__name__}", "")
            self._refuse(plugin, f"{where} {reason}".strip(), text)
        return outcome.error is None

    def _refuse(self, plugin: Plugin, reason: str, text: str = "") -> None:
        self.failures.append(Failure(plugin, printable(reason, REASON_LENGTH), text))


class _Clock:
    """The time that a plugin has for its import and its hooks together."""

    def __init__(self) -> None:
        self.limit = seconds_allowed()
        self.over = False
        self._began = time.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds left. If None, there is no limit."""
        if self.limit is None:
            return None
        return max(self.limit - (time.monotonic() - self._began), 1e-3)


def _described(error: BaseException | None) -> tuple[str, str]:
    """One-line description of an exception, and its traceback."""
    assert error is not None
    detail = str(error).strip().split("\n")[0]
    text = "".join(traceback.format_exception(error)).rstrip()
    return f"raised {type(error).__name__}" + (f": {detail}" if detail else ""), text


def load(
    only: Iterable[str] | None = None,
    disable: Iterable[str] = (),
    found: Iterable[EntryPoint] | None = None,
) -> Registry:
    """Loads the built-in parts and the installed plugins.

    Args:
        only: Names to load. Default: all, or `ZOO_PLUGINS` if it is set.
        disable: Names to leave out, beside those in `ZOO_DISABLE_PLUGINS`.
        found: Entry points to load. Default: the installed ones.
    """
    from zoo_core import builtin

    chosen = _names(ONLY_VARIABLE) if only is None else set(only)
    left_out = set(disable) | (_names(DISABLE_VARIABLE) or set())
    registry = Registry()
    registry.add(builtin, Plugin("builtin", "zoo-core", _version("zoo-core"), builtin.__name__))
    points = _installed_points() if found is None else found
    with _crashes_named():
        for point in sorted(points, key=_order):
            names = {point.name, _distribution(point)[0]}
            if not names & left_out and (chosen is None or names & chosen):
                registry.load(point)
    note_modules()
    return registry


@contextlib.contextmanager
def _crashes_named() -> Iterator[None]:
    """Lets a crash in C code print which module was being imported."""
    enabled = faulthandler.is_enabled()
    if not enabled:
        with contextlib.suppress(OSError, ValueError):
            faulthandler.enable(2)
    try:
        yield
    finally:
        if not enabled:
            faulthandler.disable()


def _installed_points() -> list[EntryPoint]:
    """The entry points of the group `zoo`; a distribution with unreadable metadata has none."""
    try:
        return list(entry_points(group=GROUP))
    except Exception:
        points: dict[tuple[str, str], EntryPoint] = {}
        for distribution in distributions():
            with contextlib.suppress(Exception):
                for point in distribution.entry_points.select(group=GROUP):
                    points.setdefault((str(distribution.name), point.name), point)
        return list(points.values())


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
    distribution = _distribution(point)[0]
    return distribution not in OWN_DISTRIBUTIONS, distribution, point.name


def _names(variable: str) -> set[str] | None:
    text = os.environ.get(variable)
    return None if text is None else {name.strip() for name in text.split(",") if name.strip()}


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution; its metadata may lack both, or be unreadable."""
    try:
        assert point.dist is not None
        return printable(point.dist.name), printable(point.dist.version)
    except Exception:
        return "unknown", "unknown"


def _module(point: EntryPoint) -> str:
    """The module that an entry point names; an empty text if it names none."""
    try:
        return printable(point.module)
    except Exception:
        return ""


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except Exception:
        return "unknown"
