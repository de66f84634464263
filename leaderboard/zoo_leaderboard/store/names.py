"""Names of the files in a store."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from zoo_leaderboard.result import Cell

RESULTS = "results"
"""The part of a store that holds records and policies."""
LONGEST_FOLDER = 255
"""Maximum length of a folder name in bytes; every file system allows it."""
LONGEST = 900
"""Maximum length of a whole name in bytes; every place allows it (object stores allow 1024)."""


def record_name(cell: Cell, key: str) -> str:
    """The name of a run's record, relative to its store.

    The folders are the algorithm's and the dataset's names, quoted so that `unquote` restores
    them. A dataset name that is too long is replaced by one folder with a hash.
    """
    last = f"{cell.variant}.seed{cell.seed}.{key}.json"
    folders = [_folder(part) for part in cell.dataset.split("/")]
    algorithm = short(_folder(cell.algorithm))
    name = "/".join([RESULTS, algorithm, *folders, last])
    if len(name) <= LONGEST and all(len(folder) <= LONGEST_FOLDER for folder in folders):
        return name
    return "/".join([RESULTS, algorithm, _hashed(cell.dataset), last])


def agent_name(record: str) -> str:
    """The name of the policy next to a record."""
    return record.removesuffix(".json") + ".agent.pt"


def is_record(name: str) -> bool:
    """Whether a file of a store is a record by its name."""
    last = name.rpartition("/")[2]
    return last.endswith(".json") and not last.startswith(".")


def short(folder: str, longest: int = LONGEST_FOLDER) -> str:
    """A folder name; if it is too long, its beginning and a hash."""
    return folder if len(folder.encode()) <= longest else _hashed(folder)


def _folder(name: str) -> str:
    """A name quoted as a folder name that stays inside the store; `unquote` restores it."""
    return quote(name, safe="+@,:= ") if name.strip(".") else name.replace(".", "%2E") or "%"


def _hashed(name: str) -> str:
    """The beginning of a long name, and a hash that makes it unique."""
    start = "".join(c if c.isascii() and c.isalnum() else "-" for c in name[:80])
    return f"{start}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
