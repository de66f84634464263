"""The trackers of a run under way, of which none may harm it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from zoo_core.process import numbers_unchanged
from zoo_core.registry import Registry
from zoo_core.tracking import TrackedRun, Tracker
from zoo_leaderboard.planning import Job

NONE = "none"
"""Value that switches all trackers off."""
LONGEST = 100
"""Characters of a folder's name; the key tells apart what is cut."""


def chosen(names: Sequence[str], registry: Registry) -> tuple[str, ...]:
    """The trackers of these names, each once, without `none`.

    Raises:
        UnknownName: nothing of that name is registered.
        ZooError: what a tracker needs is not installed.
    """
    wanted = tuple(dict.fromkeys(name for name in names if name != NONE))
    for name in wanted:
        registry.tracker(name).check()
    return wanted


def run_path(job: Job) -> str:
    """A run's place below a tracker's folder: `<row>/<dataset>/seed<k>-<key>`."""
    parts = (job.cell.row, *job.cell.dataset.split("/"), f"seed{job.cell.seed}-{job.key[:8]}")
    # A name of dots alone would lead elsewhere.
    return "/".join(
        quote(part, safe="+@,:= ()")[:LONGEST] if part.strip(".") else "%2E" for part in parts
    )


class Trackers:
    """Those that a job names; a context in which the run happens.

    Args:
        job: The run.
        registry: Registry of the trackers.
        base: Folder that contains one folder per tracker. If None, no tracker runs.
        path: The run's place below these.
    """

    def __init__(self, job: Job, registry: Registry, base: Path | None, path: str = "") -> None:
        self.job, self.registry, self.base, self.path = job, registry, base, path
        self._active: dict[str, Tracker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        failure = ""
        if error is not None:
            detail = str(error).strip().split("\n")[0]
            failure = f"{type(error).__name__}: {detail}"[:500]
        self._each(lambda tracker: tracker.ended(failure))

    def start(self, step: int) -> None:
        """Builds the trackers once the step to resume from is known."""
        if self.base is None:
            return
        for name in self.job.trackers:
            run = self._described(name, step)
            with _Harmless(self._active, name):
                self._active[name] = self.registry.tracker(name).build(run)

    def _described(self, name: str, step: int) -> TrackedRun:
        assert self.base is not None
        job, cell = self.job, self.job.cell
        return TrackedRun(
            row=cell.row,
            dataset=cell.dataset,
            seed=cell.seed,
            track=job.track,
            key=job.key,
            config=job.ingredients.config,
            total_steps=job.total_steps,
            step=step,
            folder=self.base / name / self.path,
            shared=self.base / name,
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Hands numbers on."""
        self._each(lambda tracker: tracker.scalars(step, values))

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._active.items()):
            with _Harmless(self._active, name):
                call(tracker)


class _Harmless:
    """Turns what a tracker raises into a line of the log and forgets the tracker; random states
    and settings that decide numbers are as before."""

    def __init__(self, active: dict[str, Tracker], name: str) -> None:
        self.active, self.name = active, name
        self.numbers = numbers_unchanged()

    def __enter__(self) -> None:
        self.numbers.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> bool:
        self.numbers.__exit__(None, None, None)
        if error is None:
            return False
        if not isinstance(error, Exception | SystemExit):
            return False
        self.active.pop(self.name, None)
        detail = str(error).strip().split("\n")[0]
        print(
            f"tracker '{self.name}' is off for this run: {type(error).__name__}: {detail}",
            flush=True,
        )
        return True
