"""Where results are kept: one JSON file a run, in a folder or anywhere that fsspec reaches."""

from zoo_leaderboard.store.files import Listed, is_url, open_files, write_atomically
from zoo_leaderboard.store.records import Damaged, agent_beside, agent_name, read
from zoo_leaderboard.store.store import STORE_VARIABLE, Store, default_root

__all__ = [
    "STORE_VARIABLE",
    "Damaged",
    "Listed",
    "Store",
    "agent_beside",
    "agent_name",
    "default_root",
    "is_url",
    "open_files",
    "read",
    "write_atomically",
]
