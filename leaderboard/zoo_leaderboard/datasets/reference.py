"""Reference returns, which put scores of different environments on one scale."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo_leaderboard.datasets.task import Task, resolved

D4RL_SOURCE = "D4RL d4rl/infos.py @ 89141a6, for the gym-v2 environment of this name"
D4RL_RETURNS = {
    "HalfCheetah": (-280.178953, 12135.0),
    "Hopper": (-20.272305, 3234.3),
    "Walker2d": (1.629008, 4592.3),
    "Ant": (-325.6, 3879.7),
}
"""Returns of a random policy and an expert by environment; D4RL lacks other MuJoCo tasks."""

D4RL_STEPS = 1000
"""The time limit under which they were measured."""


@dataclass(frozen=True)
class Reference:
    """The undiscounted episode returns that count as 0 and as 100."""

    min: float
    """A random policy's mean return: the score 0."""
    max: float
    """An expert's mean return: the score 100."""
    source: str
    """Source of the two, shown next to every score that uses them."""

    def normalized(self, episode_return: float) -> float:
        """The score of a return, 100 (return - min) / (max - min), as D4RL's tables print it.

        Minari's `get_normalized_score` is a hundredth of it. Scores may lie outside 0 to 100.
        """
        return 100.0 * (episode_return - self.min) / (self.max - self.min)


def reference_of(metadata: Mapping[str, Any], task: Task | None) -> Reference | None:
    """Reference returns of a dataset: its own, else D4RL's for its task, else None.

    Minari's `mujoco/*` v0 datasets have no reference returns.

    Args:
        metadata: Minari's.
        task: The task that policies are evaluated on.
    """
    low, high = metadata.get("ref_min_score"), metadata.get("ref_max_score")
    if low is not None and high is not None and math.isfinite(high - low) and high != low:
        source = metadata.get("ref_source") or f"metadata of {metadata.get('dataset_id')}"
        return Reference(float(low), float(high), str(source))
    returns = D4RL_RETURNS.get(_name(task))
    if task and returns and _is_d4rls(task):
        return Reference(*returns, source=D4RL_SOURCE)
    return None


def unused_reference(task: Task | None) -> str:
    """Why D4RL's references do not count for a task of their name, in a line; else empty."""
    if task is None or _name(task) not in D4RL_RETURNS or _is_d4rls(task):
        return ""
    return f"D4RL's are for {_name(task)} with its own arguments, no wrapper and {D4RL_STEPS} steps"


def _name(task: Task | None) -> str:
    """An id without its version, such as Hopper; empty for an id of another form."""
    match = re.fullmatch(r"(\w+)-v\d+", task["id"] if task else "")
    return match[1] if match else ""


def _is_d4rls(task: Task) -> bool:
    """Whether returns are earned as in D4RL's environment of this name, whatever is observed: the
    same class, rewards, ends of episodes and time limit. Its version may differ; the source of the
    returns names D4RL's."""
    if not task["entry_point"].startswith("gymnasium.envs.mujoco"):
        return False
    kwargs = resolved(task)["kwargs"] if task["kwargs"] else {}
    changed = [name for name in kwargs if not name.endswith("_observation")]
    return not changed and not task["wrappers"] and task["max_episode_steps"] == D4RL_STEPS
