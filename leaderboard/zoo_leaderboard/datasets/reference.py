"""Reference returns, which put scores of different environments on one scale."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

D4RL_SOURCE = "D4RL d4rl/infos.py @ 89141a6, for the gym-v2 environment of this name"
D4RL_RETURNS = {
    "HalfCheetah": (-280.178953, 12135.0),
    "Hopper": (-20.272305, 3234.3),
    "Walker2d": (1.629008, 4592.3),
    "Ant": (-325.6, 3879.7),
}
"""Returns of a random policy and an expert by environment; D4RL has none for other MuJoCo tasks."""


@dataclass(frozen=True)
class Reference:
    """The undiscounted episode returns that count as 0 and as 100."""

    min: float
    """A random policy's mean return: the score 0."""
    max: float
    """An expert's mean return: the score 100."""
    source: str
    """Where the two come from, to be shown beside every score that uses them."""

    def normalized(self, episode_return: float) -> float:
        """The score of a return, 100 (return - min) / (max - min), as D4RL's tables print it.

        Minari's `get_normalized_score` is a hundredth of it. Scores may lie outside 0 to 100.
        """
        return 100.0 * (episode_return - self.min) / (self.max - self.min)


def reference_of(metadata: Mapping[str, Any], environment_id: str | None) -> Reference | None:
    """The references of a dataset: its own, else D4RL's for the environment, else none.

    Minari's `mujoco/*` v0 sets carry none of their own.
    """
    low, high = metadata.get("ref_min_score"), metadata.get("ref_max_score")
    if low is not None and high is not None and math.isfinite(high - low) and high != low:
        source = metadata.get("ref_source") or f"metadata of {metadata.get('dataset_id')}"
        return Reference(float(low), float(high), str(source))
    match = re.fullmatch(r"(\w+)-v\d+", environment_id or "")
    if match and match[1] in D4RL_RETURNS:
        return Reference(*D4RL_RETURNS[match[1]], source=D4RL_SOURCE)
    return None
