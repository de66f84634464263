"""Trackers: where a run's curves go while it trains, such as TensorBoard.

A plugin gives `TrackerSpec`s by the hook `zoo_trackers`. Whoever runs a training builds those that
were asked for when it starts, hands them numbers, and says how it ended. What a tracker raises
switches it off for the run and harms nothing else.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from zoo_core.errors import ZooError


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run when it starts."""

    row: str
    """The algorithm with what was changed, such as `td3_bc (tuned)`."""
    dataset: str
    seed: int
    track: str
    """The leaderboard's track; `train` for a single run."""
    key: str
    """The same for the same run, however often it is interrupted, and for no other."""
    config: Mapping[str, Any]
    """Every setting's value by path, as JSON holds it."""
    total_steps: int
    step: int
    """Step to resume from; metrics of later steps are logged again."""
    folder: Path
    """The tracker's own for this run; there may be none yet."""
    shared: Path
    """The tracker's own for all runs of the store."""

    @property
    def name(self) -> str:
        """`td3_bc on zoo/pendulum/mixed-v0, seed 0`."""
        return f"{self.row} on {self.dataset}, seed {self.seed}"


class Tracker(Protocol):
    """Takes what a run tells, in the run's process."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers by name after `step` training steps: `train/<update>/<term>` and
        `train/steps_per_second`, `evaluation/score`, `evaluation/return`, `diagnostics/q_data`."""
        ...

    def ended(self, failure: str) -> None:
        """The run is finished, or failed for this reason (one line; else empty)."""
        ...


@dataclass(frozen=True)
class TrackerSpec:
    """A tracker that runs can name."""

    name: str
    build: Callable[[TrackedRun], Tracker]
    """Called in the run's process when the run starts; heavy imports belong inside."""
    summary: str = ""
    """One line."""
    needs: tuple[str, ...] = ()
    """Modules that it imports, without which it is refused before anything runs."""
    install: str = ""
    """What to install where one is missing, such as `zoo-leaderboard[mlflow]`."""

    def check(self) -> None:
        """Raises ZooError where a module that it needs is not installed."""
        missing = [module for module in self.needs if importlib.util.find_spec(module) is None]
        if missing:
            raise ZooError(
                f"tracker '{self.name}' needs {' and '.join(missing)}: "
                f"pip install '{self.install or missing[0]}'"
            )
