"""Flat observations of a file -> observations as the environment's space has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.recorded import Recorded

if TYPE_CHECKING:
    import gymnasium

GOAL_KEYS = {"achieved_goal", "desired_goal", "observation"}
"""Of the observations of Gymnasium-Robotics' environments with goals."""


def arranged(recorded: Recorded, space: gymnasium.Space[Any], where: str) -> Any:
    """[T + 1, ...] for a box; for an environment with goals a dictionary.

    D4RL's mazes log the state and, apart, the goal. Gymnasium-Robotics shows the position as
    `achieved_goal`: an ant's state begins with it and its `observation` does not; a point's
    `observation` is the whole state.

    Raises:
        ZooError: the sizes are not the environment's; a goal is needed and not there.
    """
    from gymnasium import spaces

    flat = recorded.observations
    if isinstance(space, spaces.Box):
        if flat.shape[1] != int(np.prod(space.shape)):
            raise ZooError(
                f"{where} has {flat.shape[1]} observation values, the environment "
                f"{int(np.prod(space.shape))}; name its version and arguments"
            )
        return flat.reshape(-1, *space.shape).astype(space.dtype)
    if not isinstance(space, spaces.Dict) or set(space) != GOAL_KEYS:
        raise ZooError(
            "the environment's observations are neither vectors nor those of a task with goals"
        )
    if recorded.goals is None:
        raise ZooError("the environment has goals, and the file none (infos/goal, or goals)")
    sizes = {key: int(np.prod(part.shape or ())) for key, part in space.items()}
    goal, state = sizes["achieved_goal"], sizes["observation"]
    if flat.shape[1] not in (state, goal + state) or recorded.goals.shape[1] != goal:
        raise ZooError(
            f"{where} has {flat.shape[1]} observation and {recorded.goals.shape[1]} goal values, "
            f"the environment {state} (or {goal + state} with the position) and {goal}"
        )
    found = {
        "achieved_goal": flat[:, :goal],
        "desired_goal": recorded.goals,
        "observation": flat[:, flat.shape[1] - state :],
    }
    return {key: array.astype(space[key].dtype) for key, array in found.items()}
