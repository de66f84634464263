"""Code that a recipe runs, by module and library."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo_core.errors import ZooError
from zoo_core.loaded import edited_modules, note_modules
from zoo_core.recipe import Recipe
from zoo_core.registry import Registered, Registry
from zoo_leaderboard.fingerprint.libraries import is_covered, release_of
from zoo_leaderboard.fingerprint.memory import Defined, callables_of, defined_by, memory_digest
from zoo_leaderboard.fingerprint.units import Unit, files_digest, find_unit, spec_of

CORE = "zoo_core"


def sources(recipe: Recipe, registry: Registry) -> dict[str, str]:
    """The hash of each module or package whose code the recipe runs, and the version of each
    library that this code imports, by its name.

    Raises:
        ZooError: code that can't be read, or that is nowhere to be found.
    """
    found: dict[str, str] = {}
    for registered in _used(recipe, registry):
        if _in_core(registered.plugin.module):
            found |= {module: source_digest(module) for module in _core_modules(registered.spec)}
        else:
            extra = [stage.prepare for stage in recipe.stages if stage.prepare is not None]
            _add_plugin(registered, extra, found)
    return dict(sorted(found.items()))


def edited(recipe: Recipe, registry: Registry) -> list[str]:
    """The modules of the recipe's code that were edited after this process loaded them."""
    note_modules()
    return [module for name in sources(recipe, registry) for module in edited_modules(name)]


def source_digest(module: str) -> str:
    """The hash of the code that `module` stands for, without what it imports.

    That is the module's whole top-level package, or for zoo_core, which `SEMANTICS` covers, the
    module alone.

    Raises:
        FileNotFoundError: no code of the module can be found.
    """
    if _in_core(module):
        spec = spec_of(module)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"module {module} has no Python source")
        return files_digest([(module, Path(spec.origin))])
    return find_unit(module.partition(".")[0]).digest


def _used(recipe: Recipe, registry: Registry) -> list[Registered[Any]]:
    parts: dict[str, Registered[Any]] = {**registry.samplers, **registry.critics}
    used: list[Registered[Any]] = [registry.algorithms[recipe.name]]
    used += [parts[part.spec.name] for part in recipe.parts.values()]
    return used + [registry.losses[loss.spec.name] for loss in recipe.losses.values()]


def _core_modules(spec: Any) -> set[str]:
    """The modules of a built-in's settings and function: the registering module only lists the
    built-ins, and zoo_core itself holds nothing."""
    build = getattr(spec, "build", None)
    return {spec.config.__module__, getattr(build, "__module__", CORE)} - {CORE}


def _add_plugin(registered: Registered[Any], extra: Iterable[Any], found: dict[str, str]) -> None:
    """Adds the code of a plugin, of the modules that define its spec, and of all they import."""
    defined: dict[str, set[Defined]] = {}
    for one in defined_by([*callables_of(registered.spec), *extra]):
        defined.setdefault(one.__module__.partition(".")[0], set()).add(one)
    own = registered.plugin.module.partition(".")[0]
    names = [own, *defined]
    while names:
        name = names.pop()
        if name in found or (name != own and is_covered(name)):
            continue
        release = release_of(name) if name != own else None
        if release is not None:
            found[release[0]] = f"version {release[1]}"
            continue
        unit = _unit(name)
        if unit is not None:
            found[name] = unit.digest
            names += [other for other in unit.imports if spec_of(other) is not None]
        elif name in defined:
            found[name] = memory_digest(defined[name])
        elif not defined:
            raise ZooError(f"the code of plugin '{registered.plugin}' can't be found: {name}")


def _unit(name: str) -> Unit | None:
    """The files of a top-level module; None if it exists only in memory."""
    if name == "__main__":
        file = getattr(sys.modules[name], "__file__", None)
        return Unit(name, ((name, Path(file)),)) if file and Path(file).is_file() else None
    try:
        return find_unit(name)
    except FileNotFoundError:
        return None


def _in_core(module: str) -> bool:
    return module == CORE or module.startswith(CORE + ".")
