"""Return values of an environment's `reset` and `step`, checked and converted to standard types.

Environments ported from older libraries return rewards as arrays of one number, flags as torch
scalars and observations as lists. Whatever is one number, or as many numbers as the space has, is
taken. Anything else is refused with its value.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_core.text import printable

if TYPE_CHECKING:
    import gymnasium

SHOWN = 80
"""Characters of a refused value that a message shows."""


class Outcome(NamedTuple):
    """One step's outcome."""

    observation: Any
    """Arranged as the observation space: arrays of its shapes, in dictionaries and tuples."""
    reward: float
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]


def reset_outcome(space: gymnasium.Space[Any], returned: Any) -> tuple[Any, Mapping[str, Any]]:
    """The observation and the info of a `reset`.

    Raises:
        ZooError: not these two, or an observation that does not fit the space.
    """
    if not (
        isinstance(returned, tuple | list)
        and len(returned) == 2
        and isinstance(returned[1], Mapping | None)
    ):
        raise ZooError(
            f"reset returned {shown(returned)}, not (observation, info) as Gymnasium's does"
        )
    return observation_of(space, returned[0]), returned[1] or {}


def step_outcome(space: gymnasium.Space[Any], returned: Any) -> Outcome:
    """The outcome of a `step`.

    Raises:
        ZooError: not Gymnasium's five values, a reward or flag that is not one number, an
            observation that does not fit the space, or an info that is no mapping.
    """
    if not (isinstance(returned, tuple | list) and len(returned) == 5):
        count = f"{len(returned)} values" if isinstance(returned, tuple | list) else shown(returned)
        raise ZooError(
            f"step returned {count}, not (observation, reward, terminated, truncated, info) "
            "as Gymnasium's does"
        )
    observation, reward, terminated, truncated, info = returned
    if not isinstance(info, Mapping | None):
        raise ZooError(f"the info is not a dictionary: {shown(info)}")
    return Outcome(
        observation_of(space, observation),
        reward if type(reward) is float else _number("reward", reward),
        terminated if type(terminated) is bool else _flag("terminated", terminated),
        truncated if type(truncated) is bool else _flag("truncated", truncated),
        info or {},
    )


def observation_of(space: gymnasium.Space[Any], value: Any, name: str = "observation") -> Any:
    """An observation arranged as its space; entries that the space does not have are left out.

    Raises:
        ZooError: an entry is missing, is not made of numbers, or has another size.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        missing = [key for key in space if not isinstance(value, Mapping) or key not in value]
        if missing:
            raise ZooError(f"{name} has no entry '{missing[0]}': {shown(value)}")
        return {
            key: observation_of(part, value[key], f"{name} '{key}'") for key, part in space.items()
        }
    if isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            raise ZooError(f"{name} is not {len(space.spaces)} entries: {shown(value)}")
        pairs = enumerate(zip(space.spaces, value, strict=True))
        return tuple(observation_of(part, each, f"{name} [{i}]") for i, (part, each) in pairs)
    shape = space.shape or ()
    if isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind == "f":
        return value
    array = _array(value)
    if array is None:
        raise ZooError(f"{name} is not made of numbers: {shown(value)}")
    if array.size != int(np.prod(shape)):
        raise ZooError(
            f"{name} has shape {list(array.shape)}, its space {list(shape)}: {shown(value)}"
        )
    return array.reshape(shape)


def shown(value: Any) -> str:
    """A value as a message shows it: its type and the beginning of its text, in one line."""
    try:
        text = repr(value)
    except Exception:
        text = ""
    return printable(f"{type(value).__name__} {text}", SHOWN)


def _array(value: Any) -> NDArray[Any] | None:
    """A value's numbers; None if it is not made of numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point():
            # Numpy has no bfloat16.
            value = value.double()
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and all(isinstance(x, numbers.Real) for x in array.flat):
            array = array.astype(np.float64)
    except Exception:
        return None
    return array if array.dtype.kind in "biuf" else None


def _number(name: str, value: Any) -> float:
    array = _array(value)
    if array is None or array.size != 1:
        raise ZooError(f"the {name} is not one number: {shown(value)}")
    return float(array.reshape(()))


def _flag(name: str, value: Any) -> bool:
    number = _number(f"flag '{name}'", value)
    if number not in (0.0, 1.0):
        raise ZooError(f"the flag '{name}' is neither true nor false: {shown(value)}")
    return bool(number)
