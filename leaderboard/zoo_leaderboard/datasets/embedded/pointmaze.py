"""A point mass driven through the U maze by a planner with noise, as D4RL's maze2d data were
(Fu et al. 2020, arXiv:2004.07219; Minari's `D4RL/pointmaze/umaze-v2` is made in the same way).

One long run: the task continues when a goal is reached, with a new goal. The run is cut into
episodes where a goal is reached: the last transition is truncated, not terminated, earns the only
reward, and its successor still shows the old goal; the next episode starts with the new one.

Policies are evaluated as D4RL does it: start and goal are drawn, the goal stays, 300 steps; the
return is the number of steps spent within 0.45 of the goal.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_leaderboard.datasets.embedded.builder import Builder
from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.reference import Reference
from zoo_leaderboard.datasets.writing import Episode

STEPS = 50_000
"""Transitions, about; the last episode ends at a goal."""
NOISE = 0.5
"""The standard deviation of the noise on each action (D4RL's)."""
SEED = 20261121

Array = NDArray[np.float64]
Cell = tuple[int, int]


class Planner:
    """Shortest paths over the maze's cells, followed by a PD controller from waypoint to waypoint
    (gains and threshold of D4RL's waypoint controller)."""

    def __init__(self, maze: Any) -> None:
        self.maze = maze
        self._path = functools.cache(self._shortest_path)

    def action(self, observation: dict[str, Array]) -> Array:
        """Towards the next waypoint, not yet clipped: [2]."""
        position, goal = observation["achieved_goal"], observation["desired_goal"]
        target = self._waypoint(position, goal)
        action: Array = 10.0 * (target - position) - observation["observation"][2:]
        return action

    def _waypoint(self, position: Array, goal: Array) -> Array:
        path = self._path(self._cell(position), self._cell(goal))
        if len(path) < 2:
            return goal
        here, following = (self.maze.cell_rowcol_to_xy(np.array(cell)) for cell in path[:2])
        # Leave a cell only from near its middle line, so that corners are not cut.
        along = np.abs(following - here) > 0.5
        off_line = np.abs(np.where(along, 0.0, position - here)).max() > 0.2
        target: Array = np.where(along, position, here) if off_line else following
        return target if len(path) > 2 or off_line else goal

    def _cell(self, position: Array) -> Cell:
        row, column = self.maze.cell_xy_to_rowcol(position)
        return int(row), int(column)

    def _shortest_path(self, start: Cell, goal: Cell) -> list[Cell]:
        """Cells from start to goal, by breadth-first search."""
        came: dict[Cell, Cell] = {goal: goal}
        queue = deque([goal])
        while queue and start not in came:
            cell = queue.popleft()
            for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                near = cell[0] + step[0], cell[1] + step[1]
                if near not in came and self.maze.maze_map[near[0]][near[1]] != 1:
                    came[near] = cell
                    queue.append(near)
        path = [start]
        while path[-1] != goal and path[-1] in came:
            path.append(came[path[-1]])
        return path


def episodes() -> Iterator[Episode]:
    """The run, cut at the goals."""
    env = LOGGED.make_raw()
    maze: Any = env.unwrapped
    planner, generator = Planner(maze.maze), np.random.default_rng(SEED)
    observation, _ = env.reset(seed=SEED)
    steps = 0
    while steps < STEPS:
        observation = {**observation, "desired_goal": maze.goal.copy()}
        observations, actions = [observation], []
        rewards: list[float] = []
        while not rewards or rewards[-1] == 0.0:
            wanted = planner.action(observation) + NOISE * generator.standard_normal(2)
            action = np.clip(wanted, -1.0, 1.0).astype(np.float32)
            observation, reward, *_ = env.step(action)
            observations.append(observation)
            actions.append(action)
            rewards.append(float(reward))
        steps += len(rewards)
        ends = np.arange(len(rewards)) == len(rewards) - 1
        yield Episode(
            {key: np.stack([o[key] for o in observations]) for key in observation},
            np.stack(actions),
            np.array(rewards),
            np.zeros(len(rewards), np.bool_),
            ends,
        )
    env.close()


LOGGED = Environment.named(
    "PointMaze_UMaze-v3", {"continuing_task": True, "reset_target": True}, 1_000_000
)
EVALUATED = Environment.named(
    "PointMaze_UMaze-v3", {"continuing_task": True, "reset_target": False}, 300
)

BUILDER = Builder(
    id="zoo/pointmaze/umaze-v0",
    description="A point mass in the U maze, driven to goal after goal by a planner with noise.",
    algorithm="breadth-first waypoints and a PD controller, Gaussian noise 0.5 on each action",
    environment=LOGGED,
    evaluation=EVALUATED,
    reference=Reference(
        15.3,
        240.0,
        "1000 episodes of PointMaze_UMaze-v3: uniform actions; the planner without noise",
    ),
    episodes=episodes,
    requirements=("gymnasium-robotics>=1.4,<2", "mujoco>=3.3,<3.10"),
)
