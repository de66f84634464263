"""Plans: the cells requested for each track, so that missing ones can be reported.

    plans/<track>/<hash>.json    cells with their keys, as requested by one command

A file is named by a hash of its content and never changed, so no writer loses the cells of another,
in any kind of store. A reader merges the files of a track; the key with the highest revision counts
for each cell. Older versions wrote `plans/<track>.json`, which counts as the first revision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from zoo_core.errors import ZooError
from zoo_leaderboard.fingerprint import digest_of_text
from zoo_leaderboard.result import TRACK_NAME, Cell, Count, Record, Variant
from zoo_leaderboard.store.files import Files, Listed, NotAFile, one_line
from zoo_leaderboard.store.names import is_record
from zoo_leaderboard.store.records import Damaged

PLANS = "plans"
"""The part of a store that holds plans."""
SCHEMA = 1
"""Schema version, increased when a field changes its meaning. Newer files count as damaged."""
MOST_FILES = 32
"""Number of files of a track from which a writer joins them into one."""
ATTEMPTS = 10
"""Maximum attempts to read a plan while other processes join its files."""
_FIRST_CELLS = TypeAdapter(dict[str, Cell])
"""The content of a plan that an older version wrote."""


class DamagedPlan(Damaged):
    """A plan file that cannot be read; it is reported and left alone."""

    def __str__(self) -> str:
        remedy = "its cells count as not asked for; remove it and give its commands again"
        return f"{super().__str__().replace('result file', 'plan', 1)}; {remedy}"


class _Asked(Record):
    """Requested seeds of a row on a dataset."""

    algorithm: str
    variant: Variant
    settings: dict[str, Any]
    dataset: str
    revision: Count
    keys: dict[Count, str]
    """Key of each seed."""

    def cells(self) -> Iterator[tuple[Cell, str]]:
        fields = {"algorithm", "variant", "settings", "dataset"}
        first = Cell(**self.model_dump(include=fields), seed=0)
        for seed, key in self.keys.items():
            yield first.model_copy(update={"seed": seed}), key


class _File(Record):
    schema_version: Count = Field(default=SCHEMA, le=SCHEMA)
    asked: tuple[_Asked, ...]


@dataclass(frozen=True)
class Plan:
    """The cells requested for a track."""

    keys: dict[Cell, str]
    """The newest key of each cell."""
    damaged: list[DamagedPlan]
    revisions: dict[Cell, int]
    names: list[str]
    """The files that the plan was read from, without the damaged ones."""

    @property
    def revision(self) -> int:
        """The highest revision of any cell."""
        return max(self.revisions.values(), default=0)


class Plans:
    """The plans of a store.

    Args:
        files: The store's files.
    """

    def __init__(self, files: Files) -> None:
        self.files = files

    def tracks(self) -> list[str]:
        """The tracks that have a plan."""
        names = {_track_of(listed.name) for listed in self._listed()}
        return sorted(name for name in names if name)

    def read(self, track: str) -> Plan:
        """The cells ever requested for a track.

        Raises:
            ZooError: a file cannot be read now.
        """
        for _ in range(ATTEMPTS):
            names = self._names(track)
            contents = dict(self.files.read_all(names))
            if not any(isinstance(found, FileNotFoundError) for found in contents.values()):
                return self._merged(contents)
        raise ZooError(f"the plans of track '{track}' in {self.files.full()} change all the time")

    def add(self, track: str, keys: Mapping[Cell, str]) -> None:
        """Adds requested cells; a cell's key replaces older ones.

        Raises:
            Unwritable: it cannot be written.
            ZooError: the present plan cannot be read now; no name of a track.
        """
        if not TRACK_NAME.fullmatch(track):
            raise ZooError(f"'{track}' is no name of a track")
        known = self.read(track)
        new = {cell: key for cell, key in keys.items() if known.keys.get(cell) != key}
        if new:
            self._write(track, new, dict.fromkeys(new, known.revision + 1))
            if len(known.names) >= MOST_FILES:
                whole = self.read(track)
                self._replace(track, whole, whole.keys)

    def drop(self, track: str, cells: Collection[Cell]) -> None:
        """Removes requested cells from the plan.

        Raises:
            Unwritable: it cannot be written.
        """
        known, dropped = self.read(track), set(cells)
        self._replace(track, known, {c: k for c, k in known.keys.items() if c not in dropped})

    def _replace(self, track: str, old: Plan, keys: Mapping[Cell, str]) -> None:
        """Replaces the files that were read by a single one. A file that another writer adds in the
        meantime has another name, so it is kept."""
        name = self._write(track, keys, old.revisions) if keys else ""
        for other in old.names:
            if other != name:
                self.files.remove(other)

    def _write(self, track: str, keys: Mapping[Cell, str], revisions: Mapping[Cell, int]) -> str:
        asked: dict[tuple[str, str, int], _Asked] = {}
        for cell, key in keys.items():
            place = cell.row, cell.dataset, revisions[cell]
            if place not in asked:
                fields = cell.model_dump(exclude={"seed"})
                asked[place] = _Asked(**fields, revision=revisions[cell], keys={})
            asked[place].keys[cell.seed] = key
        ordered = tuple(asked[place] for place in sorted(asked))
        text = _File(asked=ordered).model_dump_json(indent=1) + "\n"
        name = f"{PLANS}/{track}/{digest_of_text(text)}.json"
        self.files.write(name, text.encode())
        return name

    def _listed(self) -> list[Listed]:
        listed = self.files.list(PLANS)
        for file in listed:
            if file.problem is not None and not isinstance(file.problem, NotAFile):
                raise ZooError(f"cannot read {self.files.full(file.name)}: {file.problem}")
        return [file for file in listed if is_record(file.name)]

    def _names(self, track: str) -> list[str]:
        return [file.name for file in self._listed() if _track_of(file.name) == track]

    def _merged(self, contents: Mapping[str, bytes | Exception]) -> Plan:
        plan = Plan({}, [], {}, [])
        for name, content in contents.items():
            place = self.files.full(name)
            if isinstance(content, Exception) and not isinstance(content, NotAFile):
                raise ZooError(f"cannot read the plan {place}: {one_line(content)}")
            try:
                if isinstance(content, Exception):
                    raise content
                asked = list(_asked(name, content))
            except (NotAFile, ValueError) as error:
                plan.damaged.append(DamagedPlan(place, _reason(error)))
                continue
            plan.names.append(name)
            for revision, cell, key in asked:
                # If two were written at the same time, every reader picks the same one.
                if (revision, key) > (plan.revisions.get(cell, -1), plan.keys.get(cell, "")):
                    plan.keys[cell], plan.revisions[cell] = key, revision
        return plan


def _asked(name: str, content: bytes) -> Iterator[tuple[int, Cell, str]]:
    """The cells of a file, each with its revision and key.

    Raises:
        ValidationError: the file is damaged.
    """
    if name.count("/") == 1:
        for key, cell in _FIRST_CELLS.validate_json(content).items():
            yield 0, cell, key
        return
    for asked in _File.model_validate_json(content).asked:
        for cell, key in asked.cells():
            yield asked.revision, cell, key


def _track_of(name: str) -> str:
    """The track of a plan file; empty for any other file."""
    folders = name.split("/")[1:]
    track = folders[0].removesuffix(".json") if len(folders) == 1 else folders[0]
    return track if len(folders) <= 2 and TRACK_NAME.fullmatch(track) else ""


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return one_line(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return " ".join(f"{where}: {first['msg']}".removeprefix(": ").split())[:200]
