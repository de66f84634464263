"""Detection of imported modules that belong to released libraries."""

from __future__ import annotations

import functools
import itertools
import re
import sys
from importlib import metadata
from pathlib import Path

from zoo_leaderboard.fingerprint.units import spec_of

OWN = ("zoo-core", "zoo-leaderboard")
"""Distributions whose code `SEMANTICS` and a protocol's version cover."""
INSTALLED = ("site-packages", "dist-packages")
"""Folders that only installers write to."""
OWN_MODULES = ("zoo_core", "zoo_leaderboard")


def is_covered(module: str) -> bool:
    """Whether a top-level module is Python's, the zoo's, or of a library that the zoo depends on,
    whose version is recorded with a run."""
    if module in sys.stdlib_module_names or module in OWN_MODULES:
        return True
    if _normal(module) in _dependencies():
        return True
    found = _distribution(module)
    return found is not None and _normal(found.name) in _dependencies()


def release_of(module: str) -> tuple[str, str] | None:
    """Name and version of the released library that a top-level module belongs to.

    None if the module is a plugin, or code of a checkout or folder, which has no version.
    """
    found = _distribution(module)
    if found is None or found.read_text("direct_url.json") is not None:
        return None
    if any(point.group == "zoo" for point in found.entry_points):
        return None
    return _normal(found.name), found.version


@functools.cache
def _distribution(module: str) -> metadata.Distribution | None:
    """The installed distribution whose files hold a top-level module."""
    spec = spec_of(module)
    places = [*(spec.submodule_search_locations or ()), spec.origin] if spec is not None else []
    folder = [str(Path(place).parent) for place in places[:1] if place]
    # Most are named like their module, which saves reading all others.
    likely = metadata.distributions(name=module, path=folder)
    every = metadata.distributions(path=folder)
    return next((d for d in itertools.chain(likely, every) if folder and _holds(d, module)), None)


def _holds(distribution: metadata.Distribution, module: str) -> bool:
    """Whether an installer recorded a top-level module as the distribution's."""
    folder = Path(str(distribution.locate_file("")))
    if distribution.read_text("RECORD") is None and folder.name not in INSTALLED:
        return False  # Metadata that a checkout holds.
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
    tops |= set((distribution.read_text("top_level.txt") or "").split())
    return any(top.partition(".")[0] == module and not top.endswith("-info") for top in tops)


@functools.cache
def _dependencies() -> frozenset[str]:
    """The distributions that the zoo's own require, and those."""
    names = set(OWN)
    for own in OWN:
        try:
            required = metadata.requires(own) or []
        except metadata.PackageNotFoundError:
            continue
        for text in required:
            match = re.match(r"[A-Za-z0-9._-]+", text)
            if match and "extra ==" not in text:
                names.add(_normal(match[0]))
    return frozenset(names)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
