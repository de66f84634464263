"""Where results are kept: one JSON file a run."""

from zoo_leaderboard.store.store import (
    STORE_VARIABLE,
    Damaged,
    Listed,
    Store,
    agent_beside,
    default_root,
    read,
    write_atomically,
)

__all__ = [
    "STORE_VARIABLE",
    "Damaged",
    "Listed",
    "Store",
    "agent_beside",
    "default_root",
    "read",
    "write_atomically",
]
