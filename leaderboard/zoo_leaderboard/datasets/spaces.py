"""Conversion of a dataset's spaces to vectors: observations flattened, actions in [-1, 1].

The same two functions serve the data and the evaluation, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError

if TYPE_CHECKING:
    import gymnasium

TOLERANCE = 1e-5
"""Share of half an action's range by which an action may leave its bounds and still be clipped."""
UNBOUNDED = 1e20
"""Magnitude from which a bound counts as infinite: how many environments write "no bound"."""


def flatten_observation(space: gymnasium.Space[Any], observation: Any) -> NDArray[np.float32]:
    """One observation -> [O], or a stack of them -> [..., O], float32.

    The order is `gymnasium.spaces.utils.flatten`'s: a dictionary's entries in the space's order
    (Gymnasium sorts them by name: achieved_goal, desired_goal, observation), arrays row by row.
    Entries of the observation that the space does not have are left out, as Minari allows a
    dataset to hold a part of what its environment shows.

    Raises:
        ZooError: the observation lacks an entry of the space.
    """
    return np.concatenate(leaves_of(space, observation), axis=-1, dtype=np.float32)


def leaves_of(space: gymnasium.Space[Any], value: Any) -> list[NDArray[Any]]:
    """The arrays [..., D] of an observation or a stack of them, in the order of flattening.

    Raises:
        ZooError: the observation lacks an entry of the space.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        missing = [key for key in space if key not in value]
        if missing:
            raise ZooError(f"an observation has no entry '{missing[0]}'")
        return [leaf for key, part in space.items() for leaf in leaves_of(part, value[key])]
    if isinstance(space, spaces.Tuple):
        pairs = zip(space.spaces, value, strict=True)
        return [leaf for part, entry in pairs for leaf in leaves_of(part, entry)]
    array, size = np.asarray(value), int(np.prod(space.shape or ()))
    batch = array.shape[: array.ndim - len(space.shape or ())]
    return [array.reshape(*batch, size)]


def observation_size(name: str, space: gymnasium.Space[Any]) -> int:
    """O, the numbers in a flattened observation.

    Raises:
        ZooError: the space has images, anything else that is no vector of numbers, or no number.
    """
    size = _size(name, space)
    if not size:
        raise ZooError(f"dataset '{name}' has observations without any number")
    return size


def _size(name: str, space: gymnasium.Space[Any]) -> int:
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        return sum(_size(name, part) for part in space.values())
    if isinstance(space, spaces.Tuple):
        return sum(_size(name, part) for part in space.spaces)
    if not isinstance(space, spaces.Box):
        raise ZooError(
            f"dataset '{name}' has {type(space).__name__} observations; "
            "the zoo reads vectors of numbers (Box, or Dict and Tuple of Box)"
        )
    if len(space.shape) > 1:
        raise ZooError(
            f"dataset '{name}' has image or matrix observations {list(space.shape)}; "
            "the zoo reads vectors of numbers"
        )
    return int(np.prod(space.shape))


@dataclass(frozen=True, eq=False)
class ActionScaling:
    """The affine map between an environment's bounds and [-1, 1], for each action dimension."""

    low: NDArray[np.float64]
    """[A], the environment's lower bounds."""
    high: NDArray[np.float64]
    """[A], the environment's upper bounds."""

    @classmethod
    def of(cls, name: str, space: gymnasium.Space[Any]) -> ActionScaling:
        """The scaling for a dataset's action space.

        Raises:
            ZooError: the actions are not continuous, no vector, or have no finite bounds.
        """
        from gymnasium import spaces

        if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
            kind = "integer" if isinstance(space, spaces.Box) else type(space).__name__
            raise ZooError(
                f"dataset '{name}' has {kind} actions; the zoo reads continuous ones (a float Box)"
            )
        if len(space.shape) != 1 or not space.shape[0]:
            raise ZooError(
                f"dataset '{name}' has actions of shape {list(space.shape)}; the zoo reads vectors"
            )
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        _check_bounds(name, low, high, min(UNBOUNDED, float(np.finfo(space.dtype).max)))
        return cls(low, high)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ActionScaling)
            and np.array_equal(self.low, other.low)
            and np.array_equal(self.high, other.high)
        )

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """[A], the middle of the bounds."""
        return (self.low + self.high) / 2.0

    @cached_property
    def half(self) -> NDArray[np.float64]:
        """[A], half of the range between the bounds."""
        return (self.high - self.low) / 2.0

    def to_unit(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Actions [..., A] of the environment -> [..., A], in [-1, 1] if they keep the bounds."""
        given = np.asarray(actions, np.float64)
        unit = (given - self.centre) / self.half
        inside = (given >= self.low) & (given <= self.high)
        return np.where(inside, np.clip(unit, -1.0, 1.0), unit)

    def from_unit(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Actions [..., A] in [-1, 1], clipped to it -> actions within the environment's bounds.

        -1 and 1 become the bounds themselves. A conversion to the dtype of the action space keeps
        the bounds, as they are numbers of that dtype.
        """
        unit = np.clip(np.asarray(actions, np.float64), -1.0, 1.0)
        raw = np.clip(self.centre + unit * self.half, self.low, self.high)
        return np.where(unit == 1.0, self.high, np.where(unit == -1.0, self.low, raw))

    def excess(self, actions: NDArray[Any]) -> float:
        """Maximum distance of actions [..., A] outside the bounds, as a share of half of the range.

        0 within `TOLERANCE` and the rounding of the actions' dtype at the size of the bounds.
        """
        given = np.asarray(actions)
        outside = np.maximum(self.low - given, given - self.high) / self.half
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        eps = np.finfo(given.dtype).eps if given.dtype.kind == "f" else 0.0
        beyond = np.where(outside <= TOLERANCE + eps * size / self.half, 0.0, outside)
        return float(beyond.max(initial=0.0))


def _check_bounds(
    name: str, low: NDArray[np.float64], high: NDArray[np.float64], limit: float
) -> None:
    """Checks that each dimension has two finite bounds, the lower one first."""
    with np.errstate(invalid="ignore", over="ignore"):
        unbounded = ~((np.abs(low) < limit) & (np.abs(high) < limit))
        problems = (
            (unbounded, "has actions without finite bounds, which cannot be scaled to [-1, 1]"),
            (low > high, "has an action whose lower bound is above its upper one"),
            ((high - low) / 2.0 <= 0.0, "has an action with equal bounds; leave it out"),
        )
    for wrong, what in problems:
        if wrong.any():
            first = int(wrong.argmax())
            raise ZooError(
                f"dataset '{name}' {what} (action {first}: {low[first]:g} to {high[first]:g})"
            )
