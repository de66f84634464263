"""Flat observations of a file -> observations as the environment's space has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.episodes import Episodes, Log
from zoo_leaderboard.datasets.importing.naming import listed

if TYPE_CHECKING:
    import gymnasium

GOAL_KEYS = {"achieved_goal", "desired_goal", "observation"}
"""Keys of the observations of Gymnasium-Robotics' environments with goals."""


def arranged(episodes: Episodes, log: Log, space: gymnasium.Space[Any]) -> Any:
    """[N + E, ...] for a box; for a dictionary of boxes, a dictionary of such arrays.

    A file whose observations are a group fills a dictionary by its names. Their order in a vector
    is known of robomimic's files alone, which have no other observations. From flat observations
    only the dictionary of an environment with goals is known how to fill: D4RL's mazes log the
    state and, apart, the goal. Gymnasium-Robotics shows the position as `achieved_goal`: an ant's
    state begins with it and its `observation` does not; a point's `observation` is the whole state.

    Args:
        episodes: Those of a file.
        log: Log of the file; its `entries` are the columns of a group's entries.
        space: The environment's.

    Raises:
        ZooError: the sizes are not the environment's; a goal is needed and not there.
    """
    from gymnasium import spaces

    flat, entries = episodes.observations, log.entries
    if isinstance(space, spaces.Box):
        if entries and log.layout != "robomimic":
            raise ZooError(
                f"its observations is a group of {listed(entries)}, and the environment has one "
                "vector: join them in its order with numpy.concatenate"
            )
        if flat.shape[1] != int(np.prod(space.shape)):
            raise ZooError(
                f"it has {flat.shape[1]} observation values{_of(entries)}, the environment "
                f"{int(np.prod(space.shape))}; name its version and arguments"
            )
        return flat.reshape(-1, *space.shape).astype(space.dtype)
    if not isinstance(space, spaces.Dict):
        raise ZooError(
            "the environment's observations are neither vectors nor a dictionary of them"
        )
    if set(space) <= set(entries):
        return {
            key: _entry(flat[:, entries[key]], key, part).astype(part.dtype)
            for key, part in space.items()
        }
    if set(space) != GOAL_KEYS:
        raise ZooError(
            f"the environment's observations are a dictionary of {listed(space)}, the file's "
            + (f"of {listed(entries)}" if entries else "one vector")
        )
    if episodes.goals is None:
        raise ZooError("the environment has goals, and the file none (infos/goal, or goals)")
    sizes = {key: int(np.prod(part.shape or ())) for key, part in space.items()}
    goal, state = sizes["achieved_goal"], sizes["observation"]
    if flat.shape[1] not in (state, goal + state) or episodes.goals.shape[1] != goal:
        raise ZooError(
            f"it has {flat.shape[1]} observation and {episodes.goals.shape[1]} goal values, "
            f"the environment {state} (or {goal + state} with the position) and {goal}"
        )
    arrays = {
        "achieved_goal": flat[:, :goal],
        "desired_goal": episodes.goals,
        "observation": flat[:, flat.shape[1] - state :],
    }
    return {key: array.astype(space[key].dtype) for key, array in arrays.items()}


def _entry(array: Any, key: str, space: gymnasium.Space[Any]) -> Any:
    if space.shape is None:
        raise ZooError(f"the environment's {key} is itself a dictionary; the file's is one array")
    size = int(np.prod(space.shape))
    if array.shape[1] != size:
        raise ZooError(f"its {key} has {array.shape[1]} values, the environment's {size}")
    return array.reshape(-1, *space.shape)


def _of(entries: Mapping[str, slice]) -> str:
    return f" (a group of {listed(entries)})" if entries else ""
