"""Reads records: each gives a result, or a note of its file's damage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from zoo_core.text import printable
from zoo_leaderboard.result import SCHEMA, Cell, Result
from zoo_leaderboard.store.files import NotAFile, one_line
from zoo_leaderboard.store.names import RESULTS, agent_name, record_name

_NAME = re.compile(r"(?P<variant>[a-z]+)\.seed(?P<seed>[0-9]{1,18})\.(?P<key>[0-9a-f]+)\.json")


@dataclass(frozen=True)
class Damaged:
    """A result file that cannot be read; it is reported and left alone."""

    place: str
    """The file's path or URL."""
    reason: str
    key: str = ""
    cell: Cell | None = None
    """The cell that the file's path stands for, if known."""

    def __str__(self) -> str:
        return printable(f"damaged result file {self.place}: {self.reason}")


class Unreadable(Damaged):
    """A result file that cannot be read now: a network or a permission is at fault, and its content
    may be sound. It is never replaced."""

    def __str__(self) -> str:
        return printable(f"result file {self.place} cannot be read now: {self.reason}")


def agent_beside(path: Path) -> Path:
    """The policy file next to a record."""
    return path.with_name(agent_name(path.name))


def read(path: Path) -> Result | Damaged:
    """The record in a single file, or a note of its damage."""
    try:
        content: bytes | Exception = path.read_bytes()
    except IsADirectoryError as error:
        content = NotAFile(one_line(error))
    except OSError as error:
        content = error
    return parse(content, str(path), path.name)


def parse(content: bytes | Exception, place: str, name: str) -> Result | Damaged:
    """A record, or a note of its damage.

    Args:
        content: The file's content, or the exception raised on reading it.
        place: The file's path or URL.
        name: The file's name in its store; it identifies the cell of a damaged file.
    """
    if isinstance(content, FileNotFoundError | NotAFile):
        return note_damage(place, name, one_line(content))
    if isinstance(content, Exception):
        known = note_damage(place, name, one_line(content))
        return Unreadable(known.place, known.reason, known.key, known.cell)
    if not content.strip():
        return note_damage(place, name, "the file is empty")
    try:
        result = Result.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        return note_damage(place, name, reason.replace("\n", " "))
    if result.schema_version > SCHEMA:
        newer = f"it is of schema {result.schema_version}; this zoo-leaderboard reads {SCHEMA}"
        return note_damage(place, name, newer)
    told = _NAME.fullmatch(name.rpartition("/")[2])
    if told is not None and told["key"] != result.key:
        return note_damage(place, name, f"it holds another run's record, {result.key}")
    if name.startswith(f"{RESULTS}/") and told and name != record_name(result.cell, result.key):
        return note_damage(place, name, f"it is the record of {result.cell}")
    return result


def note_damage(place: str, name: str, reason: str) -> Damaged:
    """A note of a file's damage.

    Args:
        place: The file's path or URL.
        name: The file's name in the store; it identifies the cell.
        reason: The problem, in one line.
    """
    *folders, last = name.split("/")
    told = _NAME.fullmatch(last)
    if told is None:
        return Damaged(place, reason)
    if len(folders) < 3 or folders[0] != RESULTS:
        return Damaged(place, reason, told["key"])
    # Settings made by hand are only in the file's contents and the plan.
    fields: dict[str, Any] = {
        "algorithm": unquote(folders[1]),
        "dataset": unquote("/".join(folders[2:])),
        "seed": int(told["seed"]),
        "variant": told["variant"] if told["variant"] in {"default", "tuned"} else "default",
    }
    return Damaged(place, reason, told["key"], Cell(**fields))
