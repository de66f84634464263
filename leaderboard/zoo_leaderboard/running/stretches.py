"""Training in stretches, short enough to report and to save in between."""

from __future__ import annotations

import time

from zoo_core import Trainer
from zoo_core.training import Log
from zoo_leaderboard.result import Measured
from zoo_leaderboard.running.run import REPORT_SECONDS, Run

CHECKPOINT_SECONDS = 30.0
"""Between checkpoints, in addition to those at every evaluation."""

MEASURED_STEPS = 100
"""Before an evaluation or the end of a stage, the steps over which the record's metrics are means.

Progress reports cover as many steps as the machine does in their time; these are always the same,
and no checkpoint is written between them, so that an interrupted run records the same numbers.
"""


def advance(run: Run, trainer: Trainer, goal: int) -> None:
    """Trains up to `goal`, in stretches short enough to report and to save in between, and keeps
    the metrics of the last steps before it."""
    stretch, begin = 1, max(trainer.step, goal - MEASURED_STEPS)
    measured = _Means()
    while trainer.step < goal:
        due = time.perf_counter() - run.saved_at > CHECKPOINT_SECONDS
        if due and 0 < trainer.step <= begin:
            run.save(trainer)
        began = time.perf_counter()
        measuring = trainer.step >= begin
        means = measured if measuring else _Means()
        until = min(goal if measuring else begin, trainer.step + stretch)
        steps = until - trainer.step
        trainer.run(until, means.add, 1 if measuring else until, run.prepare)
        seconds = time.perf_counter() - began
        run.times["training"] += seconds
        run.update(
            step=trainer.step,
            steps_per_second=steps / max(seconds, 1e-9),
            # The first term of the first update: enough to see a run go wrong.
            loss=next(iter(means.values().values()), None),
            metrics=means.values(),
            preparing="",
            prepared=0.0,
        )
        run.track(goal=trainer.step == goal)
        # Doubling finds the length of a stretch without one slow first step misleading it.
        limit = max(1, int(steps * REPORT_SECONDS / max(seconds, 1e-9)))
        stretch = min(2 * stretch, limit)
    if measured.stage:
        found = Measured(
            step=goal, stage=measured.stage, steps=goal - begin, metrics=measured.values()
        )
        run.training.append(found)


class _Means:
    """Means over reports, added up in their order so that interruptions change no digit."""

    def __init__(self) -> None:
        self.stage = ""
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, log: Log) -> None:
        """Takes a report in."""
        self.stage = log.stage
        for name, value in log.metrics[0].items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def values(self) -> dict[str, float]:
        """Each metric's mean."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}
