"""Spaces of a file that was logged in no environment, such as a plant's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.episodes import Log
from zoo_leaderboard.datasets.importing.rows import Rows

if TYPE_CHECKING:
    import gymnasium


class ActionBounds(NamedTuple):
    """Bounds of the actions: a number for all of them, or one for each."""

    low: float | Sequence[float] | None = None
    """Lower bound. If None, the minimum of the file."""
    high: float | Sequence[float] | None = None
    """Upper bound. If None, the maximum of the file."""


def placeholder(rows: Rows, log: Log, bounds: ActionBounds) -> gymnasium.Env[Any, Any]:
    """An environment of the file's spaces, which cannot be played.

    Args:
        rows: Those of the file.
        log: Log of the file; records what was taken from the file.
        bounds: Bounds of the actions.

    Raises:
        ZooError: bounds of another number than the actions, or equal ones.
    """
    import gymnasium
    from gymnasium.spaces import Box, Dict, Space

    def unbounded(size: int) -> Space[Any]:
        return Box(-np.inf, np.inf, (size,), _dtype(rows.observations))

    env: gymnasium.Env[Any, Any] = gymnasium.Env()
    size = rows.observations.shape[1]
    entries = {key: unbounded(len(range(size)[part])) for key, part in log.entries.items()}
    env.observation_space = Dict(entries) if entries else unbounded(size)
    low, high = _bound(bounds.low, rows, np.min, "low"), _bound(bounds.high, rows, np.max, "high")
    wrong = ~(low < high)
    if wrong.any():
        first = int(wrong.argmax())
        raise ZooError(
            f"action {first} has the bounds {low[first]:g} to {high[first]:g}; set others with "
            "--action-low and --action-high"
        )
    env.action_space = Box(low, high, dtype=_dtype(rows.actions))
    if None in bounds:
        shown = ", ".join(f"{a:g} to {b:g}" for a, b in zip(low[:3], high[:3], strict=True))
        more = ", ..." if len(low) > 3 else ""
        log.notes.append(
            f"bounds of the actions are from the file: {shown}{more} (--action-low, --action-high)"
        )
    if rows.goals is not None:
        log.notes.append("goals are left out, as no environment with goals is named")
    return env


def _bound(
    given: float | Sequence[float] | None, rows: Rows, extreme: Any, side: str
) -> NDArray[Any]:
    """[A], in the dtype of the actions."""
    size = rows.actions.shape[1]
    if given is None:
        finite = rows.actions[np.isfinite(rows.actions).all(1)]
        if not len(finite):
            raise ZooError("it has NaN or infinity among all of its actions")
        return np.asarray(extreme(finite, axis=0), _dtype(rows.actions))
    bound = np.asarray(given, _dtype(rows.actions)).reshape(-1)
    if len(bound) not in (1, size):
        raise ZooError(f"--action-{side} has {len(bound)} numbers, the file {size} actions")
    return np.broadcast_to(bound, (size,)).copy()


def _dtype(array: NDArray[Any]) -> Any:
    """The floating dtype that holds the numbers of an array."""
    return np.float32 if np.can_cast(array.dtype, np.float32, "safe") else np.float64
