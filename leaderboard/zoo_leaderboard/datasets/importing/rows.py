"""Transitions of a file, one row each, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError

Array = NDArray[Any]


class Rows(NamedTuple):
    """N transitions, one episode after the other, in the environment's own action scale."""

    observations: Array
    """[N, O]."""
    actions: Array
    """[N, A]."""
    rewards: Array
    """[N]."""
    terminations: Array
    """[N] bool, whether the successor is a terminal state."""
    truncations: Array
    """[N] bool, whether a time limit cut the episode here."""
    ends: Array
    """[N] bool, whether the episode ends here, for any reason."""
    next_observations: Array | None = None
    """[N, O]."""
    goals: Array | None = None
    """[N, G], what the episode aimed at."""


def rows_of(arrays: dict[str, tuple[str, Array]]) -> Rows:
    """Checked rows of the arrays that :func:`naming.select` found, of which observations, actions
    and rewards must be there; flags that the file does not have are false.

    Raises:
        ZooError: their lengths or shapes do not fit together.
    """
    steps = _length(arrays["rewards"])
    for own, array in arrays.values():
        if _length((own, array)) != steps:
            name = arrays["rewards"][0]
            raise ZooError(f"the file has {len(array):,} {own} and {steps:,} {name}")
    if not steps:
        raise ZooError("the file is empty: it has no transition")
    observations = vectors(*arrays["observations"])
    following = None
    if "next_observations" in arrays:
        following = vectors(*arrays["next_observations"])
    if following is not None and following.shape != observations.shape:
        own, other = arrays["next_observations"][0], arrays["observations"][0]
        raise ZooError(
            f"the file's {own} have another shape than its {other}: "
            f"{following.shape[1]} values a row, not {observations.shape[1]}"
        )
    terminations, truncations, ends = _ends(arrays, steps)
    return Rows(
        observations,
        vectors(*arrays["actions"]),
        column(*arrays["rewards"]),
        terminations,
        truncations,
        ends,
        following,
        vectors(*arrays["goals"]) if "goals" in arrays else None,
    )


def unfilled(rows: Rows) -> int:
    """The number of rows at the end that are all zeros, as in a replay buffer that is not full."""
    parts = (rows.observations, rows.actions, rows.rewards[:, None], rows.next_observations)
    filled = np.zeros(len(rows.rewards), bool)
    for part in parts:
        if part is not None:
            filled |= (part != 0).any(1)
    return int(np.argmax(filled[::-1])) if filled.any() else 0


def vectors(name: str, array: Array) -> Array:
    """[N, D] of [N], [N, D] or, from one vectorised environment, [N, 1, D].

    Raises:
        ZooError: images or other shapes; no numbers.
    """
    if array.dtype.kind not in "fiub":
        raise ZooError(f"its {name} are {_kind(array)}, not numbers")
    if array.ndim == 3 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise ZooError(
            f"its {name} have the shape {_shape(array)}: the zoo reads one vector a row, and no "
            "images; put parallel environments one after another"
        )
    return array if array.ndim == 2 else array[:, None]


def column(name: str, array: Array) -> Array:
    """[N] of [N] or [N, 1].

    Raises:
        ZooError: more than one number per row; no numbers.
    """
    if array.dtype.kind not in "fiub":
        raise ZooError(f"its {name} are {_kind(array)}, not one number a transition")
    if array.size != len(array):
        raise ZooError(
            f"its {name} have the shape {_shape(array)}, not one number a transition; put "
            "parallel environments one after another"
        )
    return array.reshape(-1)


def flags(name: str, array: Array) -> Array:
    """[N] bool of [N] or [N, 1], of any numeric type.

    Raises:
        ZooError: a number that is neither 0 nor 1.
    """
    numbers = column(name, array)
    odd = ~np.isin(numbers, (0, 1))
    if odd.any():
        row = int(np.argmax(odd))
        raise ZooError(f"its {name} are not all 0 or 1: row {row:,} has {numbers[row]:g}")
    return numbers.astype(bool)


def _ends(arrays: dict[str, tuple[str, Array]], steps: int) -> tuple[Array, ...]:
    """Terminations, truncations and all ends.

    `dones` are terminations (imitation), or terminations and truncations together
    (stable-baselines3, tianshou): which of the two, the truncations show.

    Raises:
        ZooError: flags that contradict each other.
    """
    given = {
        name: flags(*arrays[name])
        for name in ("terminations", "truncations", "dones", "ends", "starts")
        if name in arrays
    }
    none = np.zeros(steps, bool)
    truncations = given.get("truncations", none)
    terminations = given.get("terminations")
    if "dones" in given:
        dones = given["dones"]
        if terminations is None:
            both = truncations.any() and (dones | ~truncations).all()
            terminations = dones & ~truncations if both else dones
        elif not any(np.array_equal(dones, a) for a in (terminations, terminations | truncations)):
            one, other = arrays["dones"][0], arrays["terminations"][0]
            row = int(np.argmax(dones != terminations))
            raise ZooError(
                f"its {one} and {other} differ (first at row {row:,}), and not by its truncations; "
                "keep one of them"
            )
    ends = truncations | given.get("ends", none)
    if "starts" in given:
        ends = ends | np.append(given["starts"][1:], False)
    if terminations is None:
        # Starts alone are old Gym's `done` of the row before.
        terminations = ends & ~truncations if "starts" in given else none
    return terminations, truncations, ends | terminations


def stacked(name: str, episodes: Mapping[str, Array]) -> Array:
    """[N, D], the rows of all episodes, one after another.

    Args:
        name: Name of the rows in messages.
        episodes: The rows of each by its name.

    Raises:
        ZooError: episodes of other sizes than the first; what :func:`vectors` refuses.
    """
    parts = {key: vectors(f"{name} in {key}", array) for key, array in episodes.items()}
    sizes = {key: part.shape[1] for key, part in parts.items()}
    first = next(iter(sizes))
    for key, size in sizes.items():
        if size != sizes[first]:
            raise ZooError(
                f"its {name} have {sizes[first]} values a row in {first}, and {size} in {key}"
            )
    return np.concatenate(list(parts.values()))


def _length(named: tuple[str, Array]) -> int:
    name, array = named
    if array.ndim == 0:
        raise ZooError(f"its {name} are one value, not one a transition")
    return len(array)


def _kind(array: Array) -> str:
    if array.dtype.kind == "O" and array.size and isinstance(array.flat[0], (str, bytes)):
        return "text"
    kinds = {
        "O": "Python objects",
        "U": "text",
        "S": "text",
        "c": "complex numbers",
        "V": "records",
    }
    return kinds.get(array.dtype.kind, str(array.dtype))


def _shape(array: Array) -> str:
    return "x".join(f"{size}" for size in array.shape)
