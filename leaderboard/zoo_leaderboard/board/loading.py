"""Boards from a store's files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from zoo_core.registry import Registry
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.conditions import Conditions
from zoo_leaderboard.board.index import summaries
from zoo_leaderboard.board.references import References, column_references
from zoo_leaderboard.board.rows import Entry, Row
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.planning import Planner
from zoo_leaderboard.result import Cell, ReferenceScores, RunId
from zoo_leaderboard.store import Damaged, Store
from zoo_leaderboard.track import Track, load_track


def load(
    store: Store | Path | str | None = None,
    track: Track | Path | str = "demo",
    *,
    registry: Registry | None = None,
    check: bool = True,
    references: References | None = None,
) -> Board:
    """The leaderboard of a track from a store's files.

    Args:
        store: A store or its folder. Default: `$ZOO_RUNS`, else `runs`.
        track: A track, its name, or the path of its file.
        registry: Registered plugins. Default: the installed ones.
        check: Whether results are compared with the installed code, to mark stale ones.
        references: Reference scores by dataset, which come before the datasets' own.

    Raises:
        ZooError: no such store or track, or one that cannot be read now.
    """
    store = store if isinstance(store, Store) else Store(store)
    track = track if isinstance(track, Track) else load_track(track)
    told: list[str] = []
    planner = Planner(track, registry, told.append)
    found, damaged = summaries(store)
    plan = store.plans.read(track.name)
    entries = _entries(found, track, plan.keys)
    runs = [run for entry in entries.values() for run in entry]
    scales = column_references(runs, planner, references or {})
    builder = _Builder(track, plan.keys, store, scales.of)
    conditions = Conditions(store, planner if check else None, plan.keys)
    for entry in entries.values():
        for run, stale in conditions.judged(entry):
            builder.add(run, stale)
    for problem in damaged:
        builder.add_damaged(problem)
    board = builder.board([*plan.damaged, *damaged])
    board.notes = [*scales.notes(), *dict.fromkeys(told), *_versions_notes(board)]
    return board


def _versions_notes(board: Board) -> list[str]:
    """A line where the software differs within cells, with the first of them."""
    mixed = [
        f"{row.label} on {dataset}, {note}"
        for row in board.rows
        for dataset in board.datasets
        if (note := row.entry(dataset).versions_note)
    ]
    return [f"Software differs within {len(mixed)} cells: {mixed[0]}."] if mixed else []


def _entries(
    runs: Iterable[RunSummary], track: Track, planned: Mapping[Cell, str]
) -> dict[tuple[str, str], list[RunSummary]]:
    """The runs of a track by row and dataset, each run once in an entry.

    A run of the track is in its own cell. Any run, also one of another track, is in every cell that
    was planned with its key: rows with equal settings share it.
    """
    cells: defaultdict[RunId, list[Cell]] = defaultdict(list)
    for cell, key in planned.items():
        cells[cell.run(key)].append(cell)
    entries: defaultdict[tuple[str, str], dict[RunId, RunSummary]] = defaultdict(dict)
    labels: dict[int, str] = {}
    places: dict[tuple[str, str], Cell] = {}
    shared: list[RunSummary] = []
    for run in runs:
        own = labels.get(id(run.place)) or labels.setdefault(id(run.place), run.place.row)
        asked = cells.get(run.id, [])
        if run.track == track.name or any(cell.row == own for cell in asked):
            _keep(entries[own, run.place.dataset], run)
        for cell in asked:
            if cell.row != own:
                place = places.setdefault(
                    (cell.row, cell.dataset), cell.model_copy(update={"seed": 0})
                )
                shared.append(replace(run, place=place))
    for run in shared:
        _keep(entries[run.place.row, run.place.dataset], run)
    return {place: list(kept.values()) for place, kept in entries.items()}


def _keep(entry: dict[RunId, RunSummary], run: RunSummary) -> None:
    """Adds a run to its entry; of two records of one run the first finished one stays."""
    before = entry.get(run.id)
    if before is None or (before.status == "failed" and run.status == "finished"):
        entry[run.id] = run


class _Builder:
    def __init__(
        self,
        track: Track,
        planned: Mapping[Cell, str],
        store: Store,
        references: dict[str, ReferenceScores | None],
    ) -> None:
        self.track, self.planned, self.store = track, planned, store
        self.references = references
        self.rows: dict[str, Row] = {}
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
        reference = self.references[run.place.dataset]
        if run.reference != reference:
            run = replace(run, reference=reference)
        if not run.finite:
            entry.damaged[seed] = f"its returns have no finite score by {reference}"
        elif stale:
            entry.stale[seed] = run, stale
        else:
            entry.finished[seed] = run

    def add_damaged(self, problem: Damaged) -> None:
        for cell in self._cells(problem):
            self.entry(cell).damaged[cell.seed] = str(problem)

    def _cells(self, problem: Damaged) -> list[Cell]:
        """The cells that a damaged file is about: what was planned with its key, else what its
        place says."""
        told = problem.cell
        if told is None:
            return [cell for cell, key in self.planned.items() if key == problem.key]
        planned = [
            cell
            for cell, key in self.planned.items()
            if key == problem.key and cell.algorithm == told.algorithm and cell.seed == told.seed
        ]
        known = told.row in self.rows or told.dataset in self.track.dataset_ids()
        return planned or ([told] if known and told.algorithm and told.dataset else [])

    def board(self, damaged: list[Damaged]) -> Board:
        for cell in self.planned:
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
        rows = list(self.rows.values())
        board = Board(self.track, rows, datasets, self.references, damaged, self.store)
        board.rows = board.ranked()
        return board
