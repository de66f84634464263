"""TensorBoard: event files in a folder of the run, for `tensorboard --logdir`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from zoo_core import TrackedRun, TrackerSpec

FLUSH_SECONDS = 10
"""Between writes to the file, which a killed process loses."""


class TensorBoard:
    """Writes an event file.

    Args:
        run: In whose folder; events of earlier attempts that are told again are marked as void.
    """

    def __init__(self, run: TrackedRun) -> None:
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(
            str(run.folder),
            # What was told at the step itself stands: only later steps are made again.
            purge_step=run.step + 1 if run.step else 0,
            flush_secs=FLUSH_SECONDS,
            # The name has the second alone, in which an attempt may follow another.
            filename_suffix=f".{time.time_ns()}",
        )
        self.step = run.step
        settings = json.dumps({"run": run.name, "key": run.key, **run.config}, indent=1)
        self.writer.add_text("config", _verbatim(settings), run.step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve."""
        self.step = step
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def ended(self, failure: str) -> None:
        """Completes the file."""
        if failure:
            self.writer.add_text("failure", _verbatim(failure), self.step)
        self.writer.close()


def _verbatim(text: str) -> str:
    """Text as a Markdown block of code, in which nothing is markup."""
    return "\n".join(f"    {line}" for line in text.splitlines())


SPEC = TrackerSpec(
    name="tensorboard",
    build=TensorBoard,
    summary="event files for TensorBoard",
    needs=("tensorboardX",),
    install="tensorboardX",
)
