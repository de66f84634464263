"""A store's summaries, kept so that ten thousand records are read once and not for every table.

The index is derived: a SQLite file in the zoo's cache, one line a record, with the size and the
stamp that the record's file had when it was read. Only records that changed are read again. Where
the file is damaged, locked, or of another version it is made anew; where it cannot be written the
index lives in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from zoo_leaderboard.board.summary import RunSummary, summarise
from zoo_leaderboard.datasets.home import zoo_home
from zoo_leaderboard.result import Cell, ReferenceScores, Result
from zoo_leaderboard.store import Damaged, Listed, Store

WAIT_SECONDS = 20.0
"""For another process that writes the index; after it this one does without."""

_FIELDS = tuple(f.name for f in fields(RunSummary))
_COLUMNS = ("size", "stamp", "damage", *_FIELDS)
VERSION = int(hashlib.sha256(repr((1, _COLUMNS)).encode()).hexdigest()[:7], 16)
"""Of the columns; a file of another one is made anew. The first number is raised when a column
changes its meaning."""


def summaries(store: Store) -> tuple[list[RunSummary], list[Damaged]]:
    """A summary of every record in the order of the names, and every file that cannot be read.

    Raises:
        ZooError: there is no such store.
    """
    listed = store.listing()
    with _opened(store) as database:
        known = {
            name: (size, stamp)
            for name, size, stamp in database.execute("SELECT name, size, stamp FROM runs")
        }
        changed = [f for f in listed if known.pop(f.name, None) != (f.size, f.stamp)]
        database.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in known])
        places = ", ".join("?" * len(_COLUMNS))
        database.executemany(
            f"INSERT OR REPLACE INTO runs VALUES ({places})",
            (
                _line(file, found)
                for file, (_, found) in zip(
                    changed, store.read_all(f.name for f in changed), strict=True
                )
            ),
        )
        database.commit()
        return _read(database, store)


def location(store: Store) -> Path:
    """The index's file of a store."""
    name = hashlib.sha256(store.identity.encode()).hexdigest()[:24]
    return zoo_home() / "cache" / "index" / f"{name}.sqlite"


@contextlib.contextmanager
def _opened(store: Store) -> Iterator[sqlite3.Connection]:
    database = _usable(location(store)) or _usable(None)
    assert database is not None
    try:
        yield database
    finally:
        database.close()


def _usable(path: Path | None) -> sqlite3.Connection | None:
    """A database with the present columns; none where the file cannot serve."""
    for attempt in range(2):
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(path or ":memory:", timeout=WAIT_SECONDS)
            if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
                database.execute("DROP TABLE IF EXISTS runs")
                columns = ", ".join(_COLUMNS)
                database.execute(f"CREATE TABLE runs ({columns}, PRIMARY KEY (name))")
                database.execute(f"PRAGMA user_version = {VERSION}")
            # Taken at once, so that a place that cannot be written shows here.
            database.execute("BEGIN IMMEDIATE")
            return database
        except (OSError, sqlite3.OperationalError):
            # It cannot be written, or another process fills it at this moment.
            return None
        except sqlite3.DatabaseError:
            if path is None or attempt:
                return None
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def _line(file: Listed, found: Result | Damaged) -> tuple[Any, ...]:
    values: dict[str, Any] = {**file._asdict()}
    if isinstance(found, Damaged):
        values["damage"] = found.reason
    else:
        summary = summarise(found, file.name)
        values |= {field: getattr(summary, field) for field in _FIELDS}
        values["place"] = summary.place.model_dump_json()
        values["reference"] = summary.reference and summary.reference.model_dump_json()
    return tuple(values.get(column) for column in _COLUMNS)


def _read(database: sqlite3.Connection, store: Store) -> tuple[list[RunSummary], list[Damaged]]:
    damaged = [
        store.damaged(name, reason)
        for name, reason in database.execute(
            "SELECT name, damage FROM runs WHERE damage IS NOT NULL ORDER BY name"
        )
    ]
    # What is the same in many lines is held once.
    references: dict[str | None, ReferenceScores | None] = {None: None}
    places: dict[str, Cell] = {}
    strings: dict[str, str] = {}
    at = {name: _FIELDS.index(name) for name in ("place", "reference", "external", *_REPEATED)}
    repeated = [at[name] for name in _REPEATED]
    found: list[RunSummary] = []
    lines = database.execute(
        f"SELECT {', '.join(_FIELDS)} FROM runs WHERE damage IS NULL ORDER BY name"
    )
    for line in lines:
        values = list(line)
        reference, place = values[at["reference"]], values[at["place"]]
        if reference not in references:
            references[reference] = ReferenceScores.model_validate_json(reference)
        if place not in places:
            places[place] = Cell.model_validate_json(place)
        values[at["reference"]], values[at["place"]] = references[reference], places[place]
        values[at["external"]] = bool(values[at["external"]])
        for i in repeated:
            values[i] = strings.setdefault(values[i], values[i])
        found.append(RunSummary(*values))
    return found, damaged


_REPEATED = ("track", "status", "act", "conditions", "finished_at", "reason", "alarm")
