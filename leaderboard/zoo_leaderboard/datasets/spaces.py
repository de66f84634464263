"""From a dataset's spaces to vectors: observations flattened, actions in [-1, 1].

The same two functions serve the data and the evaluation, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError

if TYPE_CHECKING:
    import gymnasium

TOLERANCE = 1e-5
"""How far a scaled action may leave [-1, 1] and still count as rounding; it is then clipped."""


def flatten_observation(space: gymnasium.Space[Any], observation: Any) -> NDArray[np.float32]:
    """One observation -> [O], or a stack of them -> [..., O], float32.

    The order is `gymnasium.spaces.utils.flatten`'s: a dictionary's entries in the space's order
    (Gymnasium sorts them by name: achieved_goal, desired_goal, observation), arrays row by row.
    Entries of the observation that the space does not have are left out, as Minari allows a
    dataset to hold a part of what its environment shows.

    Raises:
        ZooError: the observation lacks an entry of the space.
    """
    return np.concatenate(list(_leaves(space, observation)), axis=-1, dtype=np.float32)


def _leaves(space: gymnasium.Space[Any], value: Any) -> list[NDArray[Any]]:
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        missing = [key for key in space if key not in value]
        if missing:
            raise ZooError(f"an observation has no entry '{missing[0]}'")
        return [leaf for key, part in space.items() for leaf in _leaves(part, value[key])]
    if isinstance(space, spaces.Tuple):
        pairs = zip(space.spaces, value, strict=True)
        return [leaf for part, entry in pairs for leaf in _leaves(part, entry)]
    array, size = np.asarray(value), int(np.prod(space.shape or ()))
    batch = array.shape[: array.ndim - len(space.shape or ())]
    return [array.reshape(*batch, size)]


def observation_size(name: str, space: gymnasium.Space[Any]) -> int:
    """O, the numbers in a flattened observation.

    Raises:
        ZooError: the space has images or anything else that is no vector of numbers.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        return sum(observation_size(name, part) for part in space.values())
    if isinstance(space, spaces.Tuple):
        return sum(observation_size(name, part) for part in space.spaces)
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
        if not np.isfinite(low).all() or not np.isfinite(high).all() or (low >= high).any():
            raise ZooError(
                f"dataset '{name}' has actions without finite bounds, which cannot be scaled "
                "to [-1, 1]; give its action space bounds when it is made"
            )
        return cls(low, high)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ActionScaling)
            and np.array_equal(self.low, other.low)
            and np.array_equal(self.high, other.high)
        )

    def to_unit(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Actions [..., A] of the environment -> [..., A], in [-1, 1] if they keep the bounds."""
        return (np.asarray(actions, np.float64) - self.low) / (self.high - self.low) * 2.0 - 1.0

    def from_unit(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Actions [..., A] in [-1, 1], clipped to it -> actions within the environment's bounds."""
        share = (np.clip(np.asarray(actions, np.float64), -1.0, 1.0) + 1.0) / 2.0
        return self.low + share * (self.high - self.low)
