"""The datasets that the zoo builds itself: small, deterministic, without network.

Each is a module with a `BUILDER`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from zoo_leaderboard.datasets.embedded.builder import Builder, write
from zoo_leaderboard.datasets.home import lock, replacing, zoo_home

_MODULES = {
    "zoo/bandit/modes-v0": "bandit",
    "zoo/pendulum/mixed-v0": "pendulum",
    "zoo/pendulum/narrow-v0": "pendulum_narrow",
    "zoo/pointmaze/umaze-v0": "pointmaze",
}
IDS = tuple(_MODULES)
"""The embedded datasets' ids."""


def builder(id: str) -> Builder:
    """Builder of an embedded dataset."""
    module = importlib.import_module(f"{__name__}.{_MODULES[id]}")
    found: Builder = module.BUILDER
    return found


def summary(id: str) -> str:
    """One-line description of an embedded dataset."""
    return builder(id).description


def build(id: str) -> Path:
    """The `data` folder of an embedded dataset, which is built if it is not there yet.

    Building takes seconds, happens once under a lock, and gives the same arrays every time.

    Raises:
        ZooError: a package that it needs is missing; the zoo's folder cannot be written.
    """
    folder = zoo_home() / "datasets" / id
    with lock(f"datasets/{id}"):
        if not (folder / "data" / "metadata.json").is_file():
            with replacing(folder) as fresh:
                write(builder(id), fresh / "data")
    return folder / "data"
