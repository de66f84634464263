"""The names that libraries give to the arrays of a log, matched to ours.

D4RL writes `observations` and `terminals`, Gymnasium and Minari `terminations`, imitation `obs` and
`acts`, stable-baselines3 `dones`, tianshou `terminated` and `obs_next`, RLDS `is_terminal`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_core.text import printable
from zoo_leaderboard.datasets.importing.precision import equal_rows

Array = NDArray[Any]

SYNONYMS: dict[str, tuple[str, ...]] = {
    "observations": ("observations", "observation", "obs", "states", "state"),
    "actions": ("actions", "action", "acts", "act", "acs"),
    "rewards": ("rewards", "reward", "rews", "rew"),
    "next_observations": (
        "next_observations",
        "next_observation",
        "next_obs",
        "obs_next",
        "next_states",
        "next_state",
    ),
    "terminations": (
        "terminations",
        "termination",
        "terminated",
        "terminals",
        "terminal",
        "is_terminal",
        "not_dones",
        "not_done",
    ),
    "truncations": ("truncations", "truncation", "truncated", "timeouts", "timeout"),
    "dones": ("dones", "done"),
    "ends": ("episode_terminals", "episode_ends", "is_last"),
    "starts": ("episode_starts", "is_first"),
    "goals": ("goals", "infos/goal"),
}
SIMULATOR = {"states", "state", "next_states", "next_state"}
"""Observations only in files that have no other name for them; else a simulator's state."""
INVERTED = {"not_dones", "not_done"}
UNREAD = {"infos", "info", "metadata", "episode_returns", "policy", "discrete_action", "version"}
"""Entries that some writers add and the zoo ignores."""


def select(names: Iterable[str], load: Callable[[str], Array]) -> dict[str, tuple[str, Array]]:
    """The arrays of a file under our names, each with the file's own name for it.

    Args:
        names: The file's names.
        load: Reads the array of a name.

    Raises:
        ZooError: two names of one thing hold different values.
    """
    listed = set(names)
    selected: dict[str, tuple[str, Array]] = {}
    for ours, synonyms in SYNONYMS.items():
        present = [name for name in synonyms if name in listed]
        present = [name for name in present if name not in SIMULATOR] or present[:1]
        if not present:
            continue
        arrays = [_inverted(load(name)) if name in INVERTED else load(name) for name in present]
        for name, array in zip(present[1:], arrays[1:], strict=True):
            _check_equal((present[0], arrays[0]), (name, array))
        selected[ours] = (present[0], arrays[0])
    return selected


def unused(names: Iterable[str]) -> list[str]:
    """The names of a file that mean nothing here."""
    known = {name for synonyms in SYNONYMS.values() for name in synonyms} | UNREAD
    return sorted(name for name in names if name not in known)


def listed(names: Iterable[str], most: int = 4, width: int = 60) -> str:
    """A few names, then a count: `a, b, c, d and 96 more`; at most about `width` characters."""
    every = list(names)
    shown = [printable(str(name), 24) for name in every[: most + 1]]
    if len(shown) == len(every) and sum(map(len, shown)) <= width:
        return (
            " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
        )
    shown = shown[:most]
    while len(shown) > 1 and sum(map(len, shown)) > width:
        shown.pop()
    return f"{', '.join(shown)} and {len(every) - len(shown):,} more"


def _inverted(array: Array) -> Array:
    return 1 - array.astype(np.int64) if array.dtype.kind in "fiub" else array


def _check_equal(first: tuple[str, Array], second: tuple[str, Array]) -> None:
    (one, a), (other, b) = first, second
    a, b = (array[:, None] if array.ndim == 1 else np.atleast_2d(array) for array in (a, b))
    a, b = (array.reshape(len(array), math.prod(array.shape[1:])) for array in (a, b))
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        same = a.shape == b.shape and bool((a == b).all())
        where = ""
    elif a.shape != b.shape:
        same, where = False, ""
    else:
        equal = equal_rows(a, b)
        same = bool(equal.all())
        where = "" if same else f" (first at row {int(np.argmin(equal)):,})"
    if not same:
        raise ZooError(
            f"its {one} and {other} are two names of one thing and differ{where}; keep one of them"
        )
