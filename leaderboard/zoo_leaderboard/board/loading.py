"""Boards from a store's files."""

from __future__ import annotations

from pathlib import Path

from zoo_core.registry import Registry
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.index import summaries
from zoo_leaderboard.board.rows import Entry, Row
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.planning import Planner, why_stale
from zoo_leaderboard.result import Cell, ReferenceScores
from zoo_leaderboard.store import Damaged, Store
from zoo_leaderboard.track import Track, load_track


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
    found, damaged = summaries(store)
    planned = store.planned(track.name)
    runs = [run for run in found if run.track == track.name or run.key in planned]
    staleness = _Staleness(store, Planner(track, registry)) if check else None
    builder = _Builder(track, planned, store)
    # Oldest first: of two stale results of a cell the newer one is shown.
    for run in sorted(runs, key=lambda run: run.finished_at):
        builder.add(run, staleness.why(run) if staleness else "")
    for problem in damaged:
        builder.add_damaged(problem)
    return builder.board(damaged)


class _Staleness:
    """What changed since runs were made, asked once for all runs of the same conditions."""

    def __init__(self, store: Store, planner: Planner) -> None:
        self.store, self.planner = store, planner
        self._known: dict[tuple[str, str, str], str] = {}

    def why(self, run: RunSummary) -> str:
        """`planning.why_stale` of the run's record."""
        key = run.place.row, run.place.dataset, run.conditions
        if key not in self._known:
            record = self.store.read(run.name)
            stale = str(record) if isinstance(record, Damaged) else why_stale(record, self.planner)
            self._known[key] = stale
        return self._known[key]


class _Builder:
    def __init__(self, track: Track, planned: dict[str, Cell], store: Store) -> None:
        self.track, self.planned, self.store = track, planned, store
        self.rows: dict[str, Row] = {}
        self.references: dict[str, ReferenceScores | None] = {}
        self._of: dict[int, Entry] = {}

    def of(self, place: Cell) -> Entry:
        """The entry of a summary's place, which its other seeds share."""
        if id(place) not in self._of:
            self._of[id(place)] = self.entry(place)
        return self._of[id(place)]

    def entry(self, cell: Cell) -> Entry:
        row = self.rows.setdefault(
            cell.row, Row(cell.row, cell.algorithm, cell.variant, cell.settings)
        )
        return row.entries.setdefault(cell.dataset, Entry())

    def add(self, run: RunSummary, stale: str) -> None:
        entry, seed = self.of(run.place), run.seed
        if run.external:
            self.rows[run.place.row].external = True
        if run.status == "failed":
            # A stale failure says nothing about the code as it is now.
            if not stale:
                entry.failed[seed] = run
            else:
                entry.missing.add(seed)
            return
        if stale:
            entry.stale[seed] = run, stale
            return
        entry.finished[seed] = run
        self.references[run.place.dataset] = run.reference

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
                for run, _ in entry.stale.values():
                    self.references.setdefault(run.place.dataset, run.reference)
        rows = list(self.rows.values())
        board = Board(self.track, rows, datasets, self.references, damaged, self.store)
        board.rows = board.ranked()
        return board
