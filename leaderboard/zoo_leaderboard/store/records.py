"""Reading records: a result, or what is wrong with its file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from zoo_leaderboard.result import SCHEMA, Cell, Result

RESULTS = "results"
"""The part of a store that holds records and policies."""
_NAME = re.compile(r"(?P<variant>[a-z]+)\.seed(?P<seed>\d+)\.(?P<key>[0-9a-f]+)\.json")


@dataclass(frozen=True)
class Damaged:
    """A result file that cannot be read; it is reported and left alone."""

    place: str
    """The file's path or URL."""
    reason: str
    key: str = ""
    cell: Cell | None = None
    """What the file's place says it is about."""

    def __str__(self) -> str:
        return f"damaged result file {self.place}: {self.reason}"


def is_record(name: str) -> bool:
    """Whether a file of a store is a record by its name."""
    last = name.rpartition("/")[2]
    return last.endswith(".json") and not last.startswith(".")


def agent_name(record: str) -> str:
    """The name of the policy beside a record's."""
    return record.removesuffix(".json") + ".agent.pt"


def agent_beside(path: Path) -> Path:
    """The policy's file beside a record's."""
    return path.with_name(agent_name(path.name))


def read(path: Path) -> Result | Damaged:
    """The record in a file of its own, or what is wrong with it."""
    try:
        content: bytes | Exception = path.read_bytes()
    except OSError as error:
        content = error
    return parse(content, str(path), path.name)


def parse(content: bytes | Exception, place: str, name: str) -> Result | Damaged:
    """A record, or what is wrong with it.

    Args:
        content: Of the file, or what was raised instead.
        place: The file's path or URL.
        name: The file's name in its store, which tells the cell of a damaged one.
    """
    if isinstance(content, Exception):
        strerror = content.strerror if isinstance(content, OSError) else None
        return note_damage(place, name, strerror or str(content))
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
    return result


def note_damage(place: str, name: str, reason: str) -> Damaged:
    """A note of a file's damage.

    Args:
        place: The file's path or URL.
        name: Its name in the store, which tells the cell.
        reason: What is wrong, in one line.
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
