"""D4RL's own HDF5 files, as its version 2 writes them (Fu et al. 2020, arXiv:2004.07219).

    observations [N, O], actions [N, A], rewards [N], terminals [N], timeouts [N]
    next_observations [N, O]     in the MuJoCo files
    infos/goal [N, G]            in the mazes' files
    infos/..., metadata/...      left aside

An episode ends where `terminals` or `timeouts` says so (D4RL's `sequence_dataset`).
"""

from __future__ import annotations

from typing import Any

from zoo_leaderboard.datasets.importing.recorded import Log, cut, rows_of

GOALS = "infos/goal"
NAMES = (
    "observations",
    "actions",
    "rewards",
    "terminals",
    "timeouts",
    "next_observations",
    GOALS,
)


def fits(file: Any) -> bool:
    """Whether an open HDF5 file has this layout."""
    return "timeouts" in file and "observations" in file


def read(file: Any) -> Log:
    """The episodes of an open HDF5 file.

    Raises:
        ZooError: an array is missing, or does not fit the others.
    """
    log = Log("d4rl")
    arrays = {name: file[name][()] for name in NAMES if name in file}
    cut(rows_of(arrays, "terminals", "timeouts", GOALS), log)
    return log
