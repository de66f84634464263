"""Stores of results: one JSON file per run, in a folder or at any URL that fsspec supports."""

from zoo_leaderboard.store.files import Listed
from zoo_leaderboard.store.folder import write_atomically
from zoo_leaderboard.store.names import agent_name
from zoo_leaderboard.store.opening import is_url, open_files
from zoo_leaderboard.store.records import Damaged, Unreadable, agent_beside, read
from zoo_leaderboard.store.store import STORE_VARIABLE, Store, default_root

__all__ = [
    "STORE_VARIABLE",
    "Damaged",
    "Listed",
    "Store",
    "Unreadable",
    "agent_beside",
    "agent_name",
    "default_root",
    "is_url",
    "open_files",
    "read",
    "write_atomically",
]
