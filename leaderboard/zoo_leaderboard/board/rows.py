"""A board's rows and cells: what a store has of an algorithm on a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.stats import mean


@dataclass
class Entry:
    """The runs of a row on a dataset, by state."""

    finished: dict[int, RunSummary] = field(default_factory=dict)
    """Runs that hold, by seed."""
    failed: dict[int, RunSummary] = field(default_factory=dict)
    """Runs without a score, by seed."""
    stale: dict[int, tuple[RunSummary, str]] = field(default_factory=dict)
    """Runs whose key no longer matches, where no current one is there, and what changed."""
    damaged: dict[int, str] = field(default_factory=dict)
    """Unreadable files by seed."""
    missing: set[int] = field(default_factory=set)
    """Seeds that were asked for and have nothing."""

    @property
    def expected(self) -> int:
        """Number of requested seeds."""
        groups: tuple[Iterable[int], ...] = (
            self.finished,
            self.failed,
            self.stale,
            self.damaged,
            self.missing,
        )
        return len(set().union(*groups))

    @property
    def complete(self) -> bool:
        """Whether every seed has a score that holds."""
        return bool(self.finished) and len(self.finished) == self.expected

    @property
    def runs(self) -> list[RunSummary]:
        """The finished runs in the order of their seeds."""
        return [self.finished[seed] for seed in sorted(self.finished)]

    @property
    def versions_note(self) -> str:
        """Which seeds were made with which software, where that differs; else empty."""
        seeds: dict[str, list[str]] = {}
        for run in self.runs:
            if run.software:
                seeds.setdefault(run.software, []).append(str(run.seed))
        if len(seeds) < 2:
            return ""
        common = set.intersection(*(set(software.split(", ")) for software in seeds))
        groups = []
        for software, own in seeds.items():
            different = [name for name in software.split(", ") if name not in common]
            seed = "seed" if len(own) == 1 else "seeds"
            groups.append(f"{', '.join(different) or 'none'} ({seed} {', '.join(own)})")
        return f"versions differ: {'; '.join(groups)}"

    @cached_property
    def scores(self) -> list[float]:
        """The finished runs' scores in the order of their seeds."""
        return [run.score for run in self.runs if run.score is not None]

    def mean_of(self, value: Callable[[RunSummary], float | None]) -> float | None:
        """The mean of a number over the finished runs that have it; None if no run has it."""
        found = [number for number in map(value, self.runs) if number is not None]
        return mean(found) if found else None


@dataclass
class Row:
    """An algorithm in one variant, with one set of settings made by hand."""

    label: str
    algorithm: str
    variant: str
    settings: dict[str, Any]
    external: bool = False
    entries: dict[str, Entry] = field(default_factory=dict)
    """By dataset."""

    def entry(self, dataset: str) -> Entry:
        """The entry of a dataset; empty if nothing was requested there."""
        return self.entries.get(dataset, Entry())

    @property
    def steps(self) -> tuple[int, int] | None:
        """The least and the most training steps of its finished runs."""
        found = [run.total_steps for run in self.runs]
        return (min(found), max(found)) if found else None

    @property
    def runs(self) -> list[RunSummary]:
        """Its finished runs on all datasets."""
        return [run for entry in self.entries.values() for run in entry.finished.values()]
