"""A leaderboard from finished runs alone: rows of algorithms, columns of datasets, cells of seeds.

`Board` holds numbers and states; `tables`, `comparison` and `plots` show it. Nothing here trains
or evaluates.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_core.registry import Registry
from zoo_leaderboard import stats
from zoo_leaderboard.planning import Planner, why_stale
from zoo_leaderboard.result import Cell, Protocol, ReferenceScores, Result
from zoo_leaderboard.stats import Interval, mean
from zoo_leaderboard.store import Damaged, Store
from zoo_leaderboard.track import Track, load_track

if TYPE_CHECKING:
    import pandas as pd

LAST_EVALUATIONS = 3
"""How many of the last evaluations the column "mean of last 3" covers."""


def last_mean(result: Result) -> float:
    """The mean score of a run's last three evaluations after the one before training."""
    curve = [score for step, score in result.curve() if step > 0]
    return mean(curve[-LAST_EVALUATIONS:])


def best(result: Result) -> float:
    """A run's best evaluation: what choosing the checkpoint by its score would have shown."""
    return max(score for _, score in result.curve())


@dataclass
class Entry:
    """What the store has of a row on a dataset."""

    finished: dict[int, Result] = field(default_factory=dict)
    """Results that hold, by seed."""
    failed: dict[int, str] = field(default_factory=dict)
    """Reasons by seed."""
    stale: dict[int, tuple[Result, str]] = field(default_factory=dict)
    """Results whose key no longer matches, where no current one is there, and what changed."""
    damaged: dict[int, str] = field(default_factory=dict)
    """Unreadable files by seed."""
    missing: set[int] = field(default_factory=set)
    """Seeds that were asked for and have nothing."""

    @property
    def expected(self) -> int:
        """How many seeds there should be."""
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

    def values(self, of: Callable[[Result], float] | None = None) -> list[float]:
        """A number per finished seed, in the order of the seeds; none for the score."""
        results = [self.finished[seed] for seed in sorted(self.finished)]
        return [of(r) if of else _score(r) for r in results]


def _score(result: Result) -> float:
    assert result.score is not None
    return result.score


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
        """What there is on a dataset; an empty entry where nothing was asked for."""
        return self.entries.get(dataset, Entry())

    @property
    def steps(self) -> tuple[int, int] | None:
        """The least and the most training steps of its finished runs."""
        found = [r.total_steps for e in self.entries.values() for r in e.finished.values()]
        return (min(found), max(found)) if found else None


@dataclass(frozen=True)
class Aggregate:
    """A row over the datasets that every row has finished."""

    mean: float
    """Of the datasets' means over seeds."""
    iqm: Interval
    """Interquartile mean over all runs, with a 95 % stratified bootstrap interval."""
    last: float
    """As `mean`, of the mean of each run's last three evaluations."""
    best: float
    """As `mean`, of each run's best evaluation."""


@dataclass
class Board:
    """The leaderboard of a track."""

    track: Track
    rows: list[Row]
    datasets: list[str]
    """Those with a run that was asked for, in the track's order."""
    references: dict[str, ReferenceScores | None]
    damaged: list[Damaged]
    """Every unreadable file of the store."""

    @property
    def protocol(self) -> Protocol:
        """How runs are evaluated."""
        return self.track.protocol

    @property
    def active(self) -> list[Row]:
        """The rows that have finished any dataset: a row with nothing cannot be compared."""
        return [r for r in self.rows if any(r.entry(d).complete for d in self.datasets)]

    @cached_property
    def common(self) -> list[str]:
        """The datasets with reference scores that every active row has finished."""
        scored = [d for d in self.datasets if self.references.get(d) is not None]
        rows = self.active
        return [d for d in scored if rows and all(row.entry(d).complete for row in rows)]

    @cached_property
    def aggregates(self) -> dict[str, Aggregate]:
        """By the row's label; empty without a common dataset."""
        return {row.label: self._aggregate(row) for row in self.active} if self.common else {}

    def _aggregate(self, row: Row) -> Aggregate:
        entries = [row.entry(dataset) for dataset in self.common]
        return Aggregate(
            mean=mean([mean(entry.values()) for entry in entries]),
            iqm=stats.aggregate([entry.values() for entry in entries]),
            last=mean([mean(entry.values(last_mean)) for entry in entries]),
            best=mean([mean(entry.values(best)) for entry in entries]),
        )

    @cached_property
    def improvements(self) -> dict[tuple[str, str], Interval]:
        """P(a run of the first row beats one of the second) over the common datasets."""
        if not self.common:
            return {}
        scores = {r.label: [r.entry(d).values() for d in self.common] for r in self.active}
        found: dict[tuple[str, str], Interval] = {}
        for x, y in itertools.combinations(scores, 2):
            value, low, high = stats.probability_of_improvement(scores[x], scores[y])
            found[x, y] = Interval(value, low, high)
            found[y, x] = Interval(1.0 - value, 1.0 - high, 1.0 - low)
        return found

    @property
    def results(self) -> list[Result]:
        """Every finished result that holds."""
        return [
            entry.finished[seed]
            for row in self.rows
            for dataset in self.datasets
            for entry in (row.entry(dataset),)
            for seed in sorted(entry.finished)
        ]

    def scores(self) -> pd.DataFrame:
        """One line a run: its cell, score, columns, returns, times and state, as pandas data."""
        import pandas as pd

        lines: list[dict[str, Any]] = []
        for row in self.rows:
            for dataset in self.datasets:
                entry = row.entry(dataset)
                cell = {
                    "row": row.label,
                    "algorithm": row.algorithm,
                    "variant": row.variant,
                    "dataset": dataset,
                }
                for seed, result in sorted(entry.finished.items()):
                    lines.append({**cell, **_line(seed, "finished", "", result)})
                for seed, (result, why) in sorted(entry.stale.items()):
                    lines.append({**cell, **_line(seed, "stale", why, result)})
                for seed, reason in sorted(entry.failed.items()):
                    lines.append({**cell, **_line(seed, "failed", reason)})
                for seed, reason in sorted(entry.damaged.items()):
                    lines.append({**cell, **_line(seed, "damaged", reason)})
                for seed in sorted(entry.missing):
                    lines.append({**cell, **_line(seed, "missing", "")})
        return pd.DataFrame(lines, columns=[*_CELL_COLUMNS, *_LINE_COLUMNS])

    def curves(self) -> pd.DataFrame:
        """One line an evaluation of a finished run: row, dataset, seed, step and score."""
        import pandas as pd

        lines = [
            (result.cell.row, result.cell.algorithm, result.cell.dataset, result.cell.seed, *point)
            for result in self.results
            for point in result.curve()
        ]
        columns = ["row", "algorithm", "dataset", "seed", "step", "score"]
        return pd.DataFrame(lines, columns=columns)

    def table(self, format: str = "markdown") -> str:
        """The board as text: `markdown`, `csv`, `latex` or `json`."""
        from zoo_leaderboard.report import tables

        return tables.render(self, format)

    def published(self, format: str = "markdown") -> str:
        """Our scores beside published ones, as text: `markdown`, `csv` or `json`."""
        from zoo_leaderboard.report import comparison

        return comparison.render(self, format)

    def plot(self, path: Path | str) -> Path:
        """Writes the figure of learning curves; the ending chooses the format, such as `.png`."""
        from zoo_leaderboard.report import plots

        return plots.learning_curves(self, Path(path))


_CELL_COLUMNS = ("row", "algorithm", "variant", "dataset")
_LINE_COLUMNS = (
    "seed",
    "state",
    "reason",
    "score",
    "mean_of_last_3",
    "best_over_time",
    "episode_return",
    "steps",
    "training_seconds",
    "evaluation_seconds",
    "key",
)


def _line(seed: int, state: str, reason: str, result: Result | None = None) -> dict[str, Any]:
    line: dict[str, Any] = {"seed": seed, "state": state, "reason": reason}
    if result is None:
        return line
    line |= {
        "score": result.score,
        "mean_of_last_3": last_mean(result),
        "best_over_time": best(result),
        "episode_return": final(result),
        "steps": result.total_steps,
        "training_seconds": result.times.training,
        "evaluation_seconds": result.times.evaluation,
        "key": result.key,
    }
    return line


def final(result: Result) -> float:
    """The mean raw return of the last evaluation by the headline act."""
    last = [e for e in result.evaluations if e.act == result.act][-1]
    return last.mean_return


def load(
    store: Store | Path | str | None = None,
    track: Track | Path | str = "demo",
    *,
    registry: Registry | None = None,
    check: bool = True,
) -> Board:
    """The leaderboard of a track from a store's files.

    Args:
        store: A store or its folder; none for `$ZOO_RUNS`, else `runs`.
        track: A track, its name, or the path of its file.
        registry: What is registered; none for the installed plugins.
        check: Whether results are compared with the installed code, to mark stale ones.

    Raises:
        ZooError: no such store or track.
    """
    store = store if isinstance(store, Store) else Store(store)
    track = track if isinstance(track, Track) else load_track(track)
    results, damaged = store.load()
    planned = store.planned(track.name)
    results = [r for r in results if r.track == track.name or r.key in planned]
    planner = Planner(track, registry) if check else None
    builder = _Builder(track, planned)
    # Oldest first: of two stale results of a cell the newer one is shown.
    for result in sorted(results, key=lambda r: r.times.finished_at):
        builder.add(result, why_stale(result, planner) if planner else "")
    for problem in damaged:
        builder.add_damaged(problem)
    return builder.board(damaged)


class _Builder:
    def __init__(self, track: Track, planned: dict[str, Cell]) -> None:
        self.track, self.planned = track, planned
        self.rows: dict[str, Row] = {}
        self.references: dict[str, ReferenceScores | None] = {}

    def entry(self, cell: Cell) -> Entry:
        row = self.rows.setdefault(
            cell.row, Row(cell.row, cell.algorithm, cell.variant, cell.settings)
        )
        return row.entries.setdefault(cell.dataset, Entry())

    def add(self, result: Result, stale: str) -> None:
        entry, seed = self.entry(result.cell), result.cell.seed
        if result.external:
            self.rows[result.cell.row].external = True
        if result.failure is not None:
            # A stale failure says nothing about the code as it is now.
            if not stale:
                entry.failed[seed] = result.failure.reason
            else:
                entry.missing.add(seed)
            return
        if stale:
            entry.stale[seed] = result, stale
            return
        entry.finished[seed] = result
        self.references[result.cell.dataset] = result.reference

    def add_damaged(self, problem: Damaged) -> None:
        cell = self.planned.get(problem.key, problem.cell)
        if cell is not None and cell.algorithm and cell.dataset:
            known = problem.key in self.planned or cell.row in self.rows
            if known or cell.dataset in self.track.dataset_ids():
                self.entry(cell).damaged[cell.seed] = str(problem)

    def board(self, damaged: list[Damaged]) -> Board:
        for cell in self.planned.values():
            self.entry(cell).missing.add(cell.seed)
        for row in self.rows.values():
            for entry in row.entries.values():
                # The best that is known of a seed is what counts.
                for better, worse in (
                    (entry.finished, entry.failed),
                    (entry.finished, entry.damaged),
                    (entry.finished, entry.stale),
                    (entry.failed, entry.stale),
                    (entry.damaged, entry.stale),
                ):
                    for seed in better:
                        worse.pop(seed, None)
                entry.missing -= {*entry.finished, *entry.failed, *entry.stale, *entry.damaged}
        order = self.track.dataset_ids()
        used = {dataset for row in self.rows.values() for dataset in row.entries}
        datasets = [d for d in order if d in used] + sorted(used - set(order))
        for row in self.rows.values():
            for entry in row.entries.values():
                for result, _ in entry.stale.values():
                    self.references.setdefault(result.cell.dataset, result.reference)
        board = Board(self.track, list(self.rows.values()), datasets, self.references, damaged)
        board.rows = sorted(board.rows, key=lambda row: _rank(board, row))
        return board


def _rank(board: Board, row: Row) -> tuple[float, str]:
    """Best first; rows without an aggregate last, by name."""
    found = board.aggregates.get(row.label)
    return (-found.mean if found else np.inf, row.label)
