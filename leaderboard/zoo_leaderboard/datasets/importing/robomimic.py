"""robomimic's HDF5 files (Mandlekar et al. 2021, arXiv:2108.03298): a group per demonstration.

    data/demo_0/obs/<key> [T, O_i], actions [T, A], rewards [T], dones [T]
    data/demo_0/next_obs/<key> [T, O_i]    optional
    mask/<filter>                          names of demonstrations

The entries of `obs` are joined in the order of their names. A demonstration without `dones` was
cut at its end.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_core.text import printable
from zoo_leaderboard.datasets.importing.entries import array_of
from zoo_leaderboard.datasets.importing.episodes import Log
from zoo_leaderboard.datasets.importing.naming import listed
from zoo_leaderboard.datasets.importing.rows import Rows, rows_of, stacked
from zoo_leaderboard.datasets.progress import tracked

_PARTS = ("obs", "actions", "rewards", "dones", "next_obs")


def fits(file: Any) -> bool:
    """Whether an open HDF5 file has this layout."""
    data = file.get("data")
    return hasattr(data, "keys") and any(name.startswith("demo_") for name in data)


def read(file: Any, log: Log, subset: str | None = None) -> Rows:
    """The transitions of an open HDF5 file, demonstrations in the order of their numbers.

    Args:
        subset: A `mask` filter of the file, such as `train`. If None, every demonstration.

    Raises:
        ZooError: a demonstration lacks a part or has parts that do not fit; images; an unknown
            filter.
    """
    log.terminals = "dones"
    names = _demonstrations(file, subset)
    missing = [n for n in _PARTS[:3] if n not in file["data"][names[0]]]
    if missing:
        has = listed(sorted(file["data"][names[0]])) or "nothing"
        hint = "; run robomimic's dataset_states_to_obs.py first" if "obs" in missing else ""
        raise ZooError(f"its demonstration {names[0]} has no '{missing[0]}'; it has {has}{hint}")
    present = [name for name in _PARTS if name in file["data"][names[0]]]
    parts: dict[str, dict[str, Any]] = {name: {} for name in present}
    ends: list[Any] = []
    for number in tracked(range(len(names)), "reading demonstrations"):
        name = names[number]
        demonstration = file["data"][name]
        for part in present:
            if part not in demonstration:
                raise ZooError(f"its demonstration {printable(name)} has no '{part}'")
            try:
                parts[part][name] = array_of(demonstration, part, log)
            except ZooError as error:
                raise ZooError(f"demonstration {printable(name)}: {error}") from None
        lengths = {len(parts[part][name]) for part in present}
        if len(lengths) > 1:
            raise ZooError(f"its demonstration {printable(name)} has parts of different lengths")
        ends.append(np.arange(lengths.pop()) == len(parts["actions"][name]) - 1)
    log.notes.append(f"observations are {', '.join(log.entries)}, joined in this order")
    known = {"obs": "observations", "next_obs": "next_observations"}
    arrays = {known.get(p, p): (p, stacked(p, each)) for p, each in parts.items()}
    return rows_of({**arrays, "ends": ("demonstrations", np.concatenate(ends))})


def _demonstrations(file: Any, subset: str | None) -> list[str]:
    names = [name for name in file["data"] if re.fullmatch(r"demo_\d+", name)]
    if subset is not None:
        masks = file.get("mask", {})
        if subset not in masks:
            has = f"it has {listed(sorted(masks))}" if len(masks) else "it has none"
            raise ZooError(f"the file has no filter '{printable(subset, 40)}'; {has}")
        chosen = {n.decode() if isinstance(n, bytes) else str(n) for n in masks[subset][()]}
        names = [name for name in names if name in chosen]
    if not names:
        if subset is None:
            raise ZooError(f"no demonstration is in it as demo_N; it has {listed(file['data'])}")
        raise ZooError(f"no demonstration is in it under '{printable(subset, 40)}'")
    return sorted(names, key=lambda name: int(name[5:]))
