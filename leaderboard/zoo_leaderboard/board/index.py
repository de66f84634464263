"""A cache of a store's summaries, so that ten thousand records are not read for every table.

The index is derived: a SQLite file in the zoo's cache, one line a record, with the size and the
stamp that the record's file had when it was read. Only records that changed are read again, and
those that could not be read, since they may be sound by now. Where the file is damaged or of
another version it is built from scratch; where it is locked or cannot be written, the index lives
in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from zoo_leaderboard.board.summary import DECISIVE, RunSummary, summarise
from zoo_leaderboard.datasets.home import zoo_home
from zoo_leaderboard.result import SCHEMA, Cell, ReferenceScores, Result
from zoo_leaderboard.store import Damaged, Listed, Store

WAIT_SECONDS = 5.0
"""Seconds to wait for another process that writes the index; then the index is skipped."""

_FIELDS = tuple(f.name for f in fields(RunSummary))
_COLUMNS = ("size", "stamp", "checksum", *_FIELDS)
VERSION = int(hashlib.sha256(repr((3, SCHEMA, DECISIVE, _COLUMNS)).encode()).hexdigest()[:7], 16)
"""Version of the columns and the records; a file of another version is rebuilt from scratch. The
first number is increased when a column changes its meaning."""


_ELSEWHERE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
"""Errors without damage: another process writes the file, or it cannot be written."""


def summaries(store: Store) -> tuple[list[RunSummary], list[Damaged]]:
    """A summary of every record in the order of the names, and every file that cannot be read.

    Raises:
        ZooError: there is no such store, or it cannot be listed now.
    """
    listed, damaged = store.survey()
    path = location(store)
    for _ in range(2):
        try:
            return _summaries(path, store, listed, damaged)
        except OSError:
            break
        except (sqlite3.DatabaseError, ValueError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _ELSEWHERE:
                break
            _remove(path)
    return _summaries(None, store, listed, damaged)


def location(store: Store) -> Path:
    """The index file of a store."""
    name = hashlib.sha256(store.identity.encode()).hexdigest()[:24]
    return zoo_home() / "cache" / "index" / f"{name}.sqlite"


def _remove(path: Path) -> None:
    for part in (path.with_name(f"{path.name}-journal"), path):
        with contextlib.suppress(OSError):
            part.unlink()


def _summaries(
    path: Path | None, store: Store, listed: Sequence[Listed], damaged: Sequence[Damaged]
) -> tuple[list[RunSummary], list[Damaged]]:
    """`summaries` from an index in a file, or in memory if `path` is None.

    Raises:
        OSError: the file's folder cannot be made.
        DatabaseError: the file is no database, cannot be written, or is being written.
        ValueError: a line of it is damaged.
    """
    with contextlib.closing(_opened(path)) as database:
        unread = list(_update(database, store, listed))
        found = _read(database)
        database.commit()
    return found, sorted([*damaged, *unread], key=lambda problem: problem.place)


def _opened(path: Path | None) -> sqlite3.Connection:
    """A database with the current columns, which only this process writes."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path or ":memory:", timeout=WAIT_SECONDS)
    try:
        if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
            database.execute("DROP TABLE IF EXISTS runs")
            database.execute(f"CREATE TABLE runs ({', '.join(_COLUMNS)}, PRIMARY KEY (name))")
            database.execute(f"PRAGMA user_version = {VERSION}")
        # Taken at once, so that a place that cannot be written shows here.
        database.execute("BEGIN IMMEDIATE")
    except BaseException:
        database.close()
        raise
    return database


def _update(
    database: sqlite3.Connection, store: Store, listed: Sequence[Listed]
) -> Iterator[Damaged]:
    """Reads the records that changed, and yields the unreadable ones."""
    known = {
        name: (size, stamp)
        for name, size, stamp in database.execute("SELECT name, size, stamp FROM runs")
    }
    changed = {f.name: f for f in listed if known.pop(f.name, None) != (f.size, f.stamp)}
    gone = [(name,) for name in (*known, *changed)]
    database.executemany("DELETE FROM runs WHERE name = ?", gone)
    places = ", ".join("?" * len(_COLUMNS))
    for name, found in store.read_all(changed):
        if isinstance(found, Damaged):
            yield found
        else:
            line = _line(changed[name], found)
            database.execute(f"INSERT OR REPLACE INTO runs VALUES ({places})", line)


def _line(file: Listed, found: Result) -> tuple[Any, ...]:
    summary = summarise(found, file.name)
    values = {field: getattr(summary, field) for field in _FIELDS}
    values["place"] = summary.place.model_dump_json()
    values["reference"] = summary.reference and summary.reference.model_dump_json()
    values["external"] = int(summary.external)
    return (file.size, file.stamp, _checksum(values.values()), *values.values())


def _checksum(values: Iterable[Any]) -> int:
    # The second version of marshal's format does not depend on which strings are interned.
    return zlib.crc32(marshal.dumps([*values], 2))


def _read(database: sqlite3.Connection) -> list[RunSummary]:
    # Values shared by many lines are held once.
    references: dict[str | None, ReferenceScores | None] = {None: None}
    places: dict[str, Cell] = {}
    strings: dict[str, str] = {}
    at = {name: _FIELDS.index(name) for name in ("place", "reference", "external", *_REPEATED)}
    repeated = [at[name] for name in _REPEATED]
    found: list[RunSummary] = []
    lines = database.execute(f"SELECT checksum, {', '.join(_FIELDS)} FROM runs ORDER BY name")
    for checksum, *values in lines:
        if checksum != _checksum(values):
            raise ValueError("a line of the index is damaged")
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
    return found


_REPEATED = ("track", "status", "act", "conditions", "finished_at", "reason", "alarm", "software")
"""Columns whose values are often the same in many lines."""
