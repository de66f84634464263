"""d3rlpy's HDF5 files (Seno and Imai 2022, arXiv:2111.03788): `MDPDataset.dump` of version 1 and
`ReplayBuffer.dump` of version 2.

    version 1   observations [N, O], actions [N, A], rewards [N], terminals [N],
                episode_terminals [N], version "1.0"
    version 2   columns, num_episodes, version "2.1"; of episode i: observations_i [T, O],
                actions_i [T, A], rewards_i [T, 1], terminated_i

Both have as many observations as actions in an episode: the final one is missing. Files of d3rlpy
before 1.0 name no version; their rewards belong to the transition before, so they are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.recorded import (
    Log,
    add_without_successor,
    column,
    cut,
    rows_of,
    vectors,
)


def fits(file: Any) -> bool:
    """Whether an open HDF5 file has one of these layouts."""
    return "episode_terminals" in file or ("num_episodes" in file and "columns" in file)


def read(file: Any) -> Log:
    """The episodes of an open HDF5 file.

    Raises:
        ZooError: an array is missing, or does not fit the others; a version that is not read.
    """
    log = Log("d3rlpy")
    if "version" not in file:
        raise ZooError(
            "the file names no version: d3rlpy before 1.0 wrote rewards one step late; if "
            "rewards[t] is what actions[t] earned, add a dataset version = '1.0' to it"
        )
    version = file["version"].asstr()[()]
    if "num_episodes" not in file:
        _read_rows(file, log)
    elif version.startswith("2.") and version != "2.0":
        _read_episodes(file, log)
    else:
        raise ZooError(f"d3rlpy's version {version} of the layout is not read; 1.0 and 2.1 are")
    return log


def _read_rows(file: Any, log: Log) -> None:
    names = ("observations", "actions", "rewards", "terminals", "episode_terminals")
    arrays = {name: file[name][()] for name in names if name in file}
    cut(rows_of(arrays, "terminals", "episode_terminals"), log)


def _read_episodes(file: Any, log: Log) -> None:
    for number in range(int(file["num_episodes"][()])):
        parts = {}
        for name in ("observations", "actions", "rewards", "terminated"):
            if f"{name}_{number}_0" in file:
                raise ZooError(f"the file's {name} are tuples; the zoo reads vectors")
            if f"{name}_{number}" not in file:
                raise ZooError(f"the file has no '{name}_{number}'")
            parts[name] = np.asarray(file[f"{name}_{number}"][()])
        lengths = {len(parts[name]) for name in ("observations", "actions", "rewards")}
        if len(lengths) > 1:
            raise ZooError(f"episode {number} of the file has parts of different lengths")
        if lengths == {0}:
            continue
        add_without_successor(
            log,
            vectors(parts["observations"], f"observations_{number}"),
            vectors(parts["actions"], f"actions_{number}"),
            column(parts["rewards"], f"rewards_{number}"),
            bool(parts["terminated"]),
        )
