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
from zoo_leaderboard.datasets.importing import flat
from zoo_leaderboard.datasets.importing.entries import array_of
from zoo_leaderboard.datasets.importing.episodes import Log
from zoo_leaderboard.datasets.importing.rows import Rows, flags, rows_of, stacked
from zoo_leaderboard.datasets.progress import tracked


def fits(file: Any) -> bool:
    """Whether an open HDF5 file has one of these layouts."""
    return "episode_terminals" in file or ("num_episodes" in file and "columns" in file)


def read(file: Any, log: Log) -> Rows:
    """The transitions of an open HDF5 file.

    Raises:
        ZooError: an array is missing, or does not fit the others; a version that is not read.
    """
    if "version" not in file:
        raise ZooError(
            "the file names no version: d3rlpy before 1.0 wrote rewards one step late; if "
            "rewards[t] is what actions[t] earned, add a dataset version = '1.0' to it"
        )
    if "discrete_action" in file and file["discrete_action"][()].any():
        raise ZooError("its actions are discrete choices; the zoo's are continuous")
    version = file["version"].asstr()[()]
    if "num_episodes" not in file:
        return flat.read(file, log)
    if version.startswith("2.") and version != "2.0":
        return _episodes(file, log)
    raise ZooError(f"d3rlpy's version {version} of the layout is not read; 1.0 and 2.1 are")


def _episodes(file: Any, log: Log) -> Rows:
    log.terminals = "terminated"
    parts: dict[str, dict[str, Any]] = {"observations": {}, "actions": {}, "rewards": {}}
    terminations, ends = [], []
    for number in tracked(range(int(file["num_episodes"][()])), "reading episodes"):
        found = {}
        for name in (*parts, "terminated"):
            own = f"{name}_{number}"
            if f"{own}_0" in file:
                raise ZooError(f"the file's {name} are tuples; the zoo reads vectors")
            if own not in file:
                raise ZooError(f"the file has no '{own}'")
            found[name] = array_of(file, own, log)
        if len({len(found[name]) for name in parts}) > 1:
            raise ZooError(f"episode {number} of the file has parts of different lengths")
        if not len(found["rewards"]):
            continue
        for name, episodes in parts.items():
            episodes[f"episode {number}"] = found[name]
        last = np.arange(len(found["rewards"])) == len(found["rewards"]) - 1
        terminated = flags(f"terminated_{number}", found["terminated"].reshape(1))
        terminations.append(last & terminated)
        ends.append(last)
    if not ends:
        raise ZooError("the file is empty: it has no transition")
    arrays = {name: stacked(name, episodes) for name, episodes in parts.items()}
    arrays |= {"terminations": np.concatenate(terminations), "ends": np.concatenate(ends)}
    return rows_of({name: (name, array) for name, array in arrays.items()})
