"""Resource limits of a job on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo_leaderboard.running.memory import memory_of_groups, size_text

RETRIES = 2
"""Number of restarts within a run of a job whose process was killed from outside."""
MEMORY_SECONDS = 0.25
"""Seconds between checks of the jobs' memory."""
LONGEST_LOG = 16 << 20
"""Bytes of a job's log from which on only its end is kept."""
KEPT_LOG = 64 << 10


@dataclass(frozen=True)
class Limits:
    """Limits on a job's time and memory, and the number of restarts."""

    seconds: float | None = None
    """Time limit for all of its processes in this run. If None, no limit."""
    memory: int | None = None
    """Memory limit for its process and all children, in bytes. If None, no limit."""
    retries: int = RETRIES
    """Restarts after a kill from outside; a process that exceeds a limit is never restarted."""


UNLIMITED = Limits()


@dataclass(frozen=True)
class Overrun:
    """A limit that a job went over."""

    kind: Literal["timeout", "memory"]
    reason: str


@dataclass(frozen=True)
class Usage:
    """Resources that a job has used so far."""

    seconds: float
    group: int
    """Its process group."""


class Watch:
    """Compares jobs with their limits; the clock is one that nobody can set.

    Args:
        limits: The same for every job.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._looked = -MEMORY_SECONDS

    def overruns(self, jobs: Mapping[int, Usage]) -> dict[int, Overrun]:
        """The jobs that are over a limit, by number."""
        found = {n: over for n, usage in jobs.items() if (over := self._time(usage))}
        return {**self._memory(jobs), **found}

    def _time(self, usage: Usage) -> Overrun | None:
        limit = self.limits.seconds
        if limit is None or usage.seconds <= limit:
            return None
        return Overrun("timeout", f"over the time limit of {limit:g} s")

    def _memory(self, jobs: Mapping[int, Usage]) -> dict[int, Overrun]:
        limit, now = self.limits.memory, time.monotonic()
        if limit is None or not jobs or now - self._looked < MEMORY_SECONDS:
            return {}
        self._looked = now
        held = memory_of_groups({usage.group for usage in jobs.values()}, limit)
        return {
            number: Overrun(
                "memory",
                f"over the memory limit of {size_text(limit)}: it held "
                f"{size_text(held[usage.group])}",
            )
            for number, usage in jobs.items()
            if held[usage.group] > limit
        }


def cut_log(path: Path) -> None:
    """Keeps a log's end where it has grown beyond `LONGEST_LOG`; its writer appends on."""
    try:
        if path.stat().st_size <= LONGEST_LOG:
            return
        with path.open("r+b") as file:
            file.seek(-KEPT_LOG, os.SEEK_END)
            end = file.read()
            file.truncate(0)
        with path.open("ab") as file:
            file.write(b"[what came before was cut: the log had grown too long]\n" + end)
    except OSError:
        # A log is worth no failure.
        return
