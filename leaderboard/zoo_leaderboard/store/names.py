"""What files of a store are called."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from zoo_leaderboard.result import Cell

RESULTS = "results"
"""The part of a store that holds records and policies."""
LONGEST_FOLDER = 255
"""Bytes of a folder's name that every file system takes."""
LONGEST = 900
"""Bytes of a whole name that every place takes: an object store takes 1024."""


def record_name(cell: Cell, key: str) -> str:
    """The name of a run's record, relative to its store.

    The folders are the algorithm's and the dataset's names, which `unquote` gives back. A dataset's
    name that is too long for that has one folder, with a hash of it.
    """
    last = f"{cell.variant}.seed{cell.seed}.{key}.json"
    folders = [_folder(part) for part in cell.dataset.split("/")]
    algorithm = short(_folder(cell.algorithm))
    name = "/".join([RESULTS, algorithm, *folders, last])
    if len(name) <= LONGEST and all(len(folder) <= LONGEST_FOLDER for folder in folders):
        return name
    return "/".join([RESULTS, algorithm, _hashed(cell.dataset), last])


def agent_name(record: str) -> str:
    """The name of the policy beside a record's."""
    return record.removesuffix(".json") + ".agent.pt"


def is_record(name: str) -> bool:
    """Whether a file of a store is a record by its name."""
    last = name.rpartition("/")[2]
    return last.endswith(".json") and not last.startswith(".")


def short(folder: str, longest: int = LONGEST_FOLDER) -> str:
    """A folder's name, or its beginning and a hash where it is too long."""
    return folder if len(folder.encode()) <= longest else _hashed(folder)


def _folder(name: str) -> str:
    """A name as a folder's, which `unquote` undoes; none leads out of the store."""
    return quote(name, safe="+@,:= ") if name.strip(".") else name.replace(".", "%2E") or "%"


def _hashed(name: str) -> str:
    """The beginning of a long name, and a hash that tells it from others."""
    start = "".join(c if c.isascii() and c.isalnum() else "-" for c in name[:80])
    return f"{start}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
