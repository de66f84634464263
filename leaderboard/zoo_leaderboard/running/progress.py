"""Progress display of a run: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from zoo_core.text import printable
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import Result
from zoo_leaderboard.running.run import Progress
from zoo_leaderboard.store import Store

PLAIN_SECONDS = 15.0
"""Between the lines of a job's progress where there is no terminal."""


class Display:
    """Receiver of a run's events; this base class shows nothing."""

    def started(self, job: Job) -> None:
        """A job's process starts."""

    def progress(self, job: Job, progress: Progress) -> None:
        """A job reports."""

    def waiting(self, job: Job) -> None:
        """Another runner has the job."""

    def retried(self, job: Job, reason: str) -> None:
        """A job's process was killed, and is to start again."""

    def finished(self, job: Job, result: Result) -> None:
        """A job left its record."""

    def tick(self) -> None:
        """Some time has passed."""


def seconds_left(progress: Progress) -> float | None:
    """The training time that a job still needs at its present rate."""
    if progress.steps_per_second <= 0:
        return None
    return (progress.total_steps - progress.step) / progress.steps_per_second


def duration(seconds: float | None) -> str:
    """Seconds as `45s`, `3m20s` or `2h05m`."""
    if seconds is None:
        return "-"
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def number(value: float | None) -> str:
    """A value in a few characters."""
    return "-" if value is None else f"{value:.4g}"


def preparing_text(progress: Progress) -> str:
    """Progress of preparing the columns of the next stage."""
    return f"preparing stage '{progress.preparing}': {progress.prepared:.0%}"


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Metrics in one line: `behaviour/nll 1.25  behaviour/held_out 1.31`."""
    return "  ".join(f"{name} {number(value)}" for name, value in metrics.items())


class _Counting(Display):
    """Base of both displays: counts the jobs that are over."""

    def __init__(self, console: Console, total: int, store: Store | None = None) -> None:
        self.console, self.total, self.store = console, total, store
        self.done = self.failed = 0
        self.began = time.monotonic()

    def again(self, job: Job, reason: str) -> Text:
        return Text.assemble(
            f"{printable(str(job.cell))}: ", (f"{printable(reason)}; it starts again", "yellow")
        )

    def outcome(self, job: Job, result: Result) -> Text:
        self.done += 1
        if result.failure is not None:
            self.failed += 1
            text, style = f"failed: {printable(result.failure.reason)}", "red"
            if self.store is not None and result.failure.traceback:
                text += f"; traceback: {self.store.files.full(self.store.name(job.cell, job.key))}"
        else:
            spent = result.times.training + result.times.evaluation
            text, style = f"score {result.score:.1f} in {duration(spent)}", "green"
        position = f"[{self.done}/{self.total}] "
        # Names and reasons come from plugins: Text, unlike a string, is never read as markup.
        return Text.assemble(position, printable(str(job.cell)), "  ", (text, style))


class Plain(_Counting):
    """One line per event."""

    def __init__(self, console: Console, total: int, store: Store | None = None) -> None:
        super().__init__(console, total, store)
        self._told: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    @override
    def started(self, job: Job) -> None:
        self._told[job.key] = time.monotonic()

    @override
    def progress(self, job: Job, progress: Progress) -> None:
        now = time.monotonic()
        due = now - self._told.get(job.key, 0.0) >= PLAIN_SECONDS
        where = f"step {progress.step}/{progress.total_steps}"
        if progress.preparing:
            if due:
                self._told[job.key] = now
                self._line(f"{job.cell}: {where}, {preparing_text(progress)}")
        elif progress.resumed and progress.steps_per_second == 0 and progress.score is None:
            self._line(f"{job.cell}: resumes at step {progress.step} of {progress.total_steps}")
        elif due:
            self._told[job.key] = now
            self._line(
                f"{job.cell}: {where}, "
                f"{progress.steps_per_second:.0f} steps/s, loss {number(progress.loss)}, "
                f"score {number(progress.score)}, {duration(seconds_left(progress))} left"
            )

    @override
    def waiting(self, job: Job) -> None:
        now = time.monotonic()
        if now - self._told.get(f"waiting {job.key}", -PLAIN_SECONDS) >= PLAIN_SECONDS:
            self._told[f"waiting {job.key}"] = now
            self._line(f"{job.cell}: another runner has it; waiting")

    @override
    def retried(self, job: Job, reason: str) -> None:
        self._line(self.again(job, reason))

    @override
    def finished(self, job: Job, result: Result) -> None:
        self._line(self.outcome(job, result))

    @override
    def tick(self) -> None:
        pass

    def _line(self, text: str | Text) -> None:
        shown = Text(printable(text)) if isinstance(text, str) else text
        self.console.print(shown, soft_wrap=True)


class LiveTable(_Counting):
    """A table of the jobs under way, renewed in place; what is over scrolls above it."""

    def __init__(self, console: Console, total: int, store: Store | None = None) -> None:
        super().__init__(console, total, store)
        self._jobs: dict[str, tuple[Job, Progress]] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    @override
    def started(self, job: Job) -> None:
        self._jobs[job.key] = job, Progress(total_steps=job.total_steps)

    @override
    def progress(self, job: Job, progress: Progress) -> None:
        self._jobs[job.key] = job, progress

    @override
    def waiting(self, job: Job) -> None:
        self._jobs.pop(job.key, None)

    @override
    def retried(self, job: Job, reason: str) -> None:
        self._jobs.pop(job.key, None)
        self._live.console.print(self.again(job, reason))

    @override
    def finished(self, job: Job, result: Result) -> None:
        self._jobs.pop(job.key, None)
        self._live.console.print(self.outcome(job, result))

    @override
    def tick(self) -> None:
        self._live.update(self.rendered(), refresh=True)

    def rendered(self) -> Group:
        """The table as it is now."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("run", overflow="ellipsis", no_wrap=True)
        table.add_column("", width=12)
        for title in ("step", "steps/s", "loss", "score", "left"):
            table.add_column(title, justify="right", no_wrap=True)
        for job, progress in self._jobs.values():
            table.add_row(
                Text(printable(str(job.cell))),
                ProgressBar(total=max(progress.total_steps, 1), completed=progress.step, width=12),
                f"{progress.step}"
                + (f" (preparing {progress.prepared:.0%})" if progress.preparing else ""),
                f"{progress.steps_per_second:.0f}",
                number(progress.loss),
                number(progress.score),
                duration(seconds_left(progress)),
            )
        spent = duration(time.monotonic() - self.began)
        counted = f"{self.done} of {self.total} runs over, {self.failed} failed, {spent}"
        return Group(table, Text(counted, style="bold"))


def choose_display(console: Console, total: int, store: Store | None = None) -> Plain | LiveTable:
    """The live table in a terminal, else plain lines.

    Args:
        console: Console to print to.
        total: Number of jobs.
        store: Store that keeps the records, with the tracebacks of failures. None if the
            store is temporary.
    """
    kind = LiveTable if console.is_terminal else Plain
    return kind(console, total, store)
