"""Values that change with a stage's progress: learning rates and term weights."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from zoo_core.config import Config


class Schedule(Config):
    """A value that moves from `start` to `end` while a stage's progress goes from 0 to 1."""

    shape: Literal["linear", "cosine"] = "linear"
    """`linear`, or `cosine`: end + (start - end) (1 + cos(pi progress)) / 2 (arXiv:1608.03983)."""
    start: float
    """The value at the stage's first step."""
    end: float = 0.0
    """The value at `until` and after."""
    until: float = Field(default=1.0, gt=0.0, le=1.0)
    """The share of the stage after which the value stays at `end`."""

    def at(self, progress: float) -> float:
        """The value when `progress` in [0, 1] of the stage's steps are done."""
        p = min(progress / self.until, 1.0)
        if self.shape == "cosine":
            return self.end + (self.start - self.end) * (1.0 + math.cos(math.pi * p)) / 2.0
        return self.start + (self.end - self.start) * p


def value_at(value: float | Schedule, progress: float) -> float:
    """`value` itself, or what the schedule says at `progress` in [0, 1]."""
    return value.at(progress) if isinstance(value, Schedule) else value
