"""Files with one array per kind, one row a transition: numpy archives, and flat HDF5 files.

    observations [N, O], actions [N, A], rewards [N]
    terminations [N], truncations [N]    or terminals and timeouts, or dones, or episode_starts
    next_observations [N, O]             optional; without it an episode's last successor is unknown
    goals [N, G], or infos/goal          optional, for environments with goals

Such files are written by D4RL (Fu et al. 2020, arXiv:2004.07219; `infos/...` and `metadata/...` are
left aside), by users of its `qlearning_dataset`, by stable-baselines' `generate_expert_traj` (obs,
actions, rewards, episode_starts), from the buffers of stable-baselines3 and tianshou (`save_hdf5`),
and from imitation's `Transitions` (obs, acts, next_obs, dones). Their names are in `naming`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.entries import array_of, contents
from zoo_leaderboard.datasets.importing.episodes import Log
from zoo_leaderboard.datasets.importing.naming import SYNONYMS, listed, select, unused
from zoo_leaderboard.datasets.importing.rows import Rows, rows_of


def fits(file: Mapping[str, Any]) -> bool:
    """Whether an open file has arrays that look like a log's."""
    return any(name in file for ours in ("observations", "actions") for name in SYNONYMS[ours])


def read(file: Mapping[str, Any], log: Log) -> Rows:
    """The transitions of an open file.

    Raises:
        ZooError: an array is missing, does not fit the others, or holds no numbers.
    """
    names = [name for each in SYNONYMS.values() for name in each if name in file]
    for ours in ("observations", "actions", "rewards"):
        if not set(SYNONYMS[ours]) & set(names):
            raise ZooError(f"the file has no '{ours}'; it has {contents(file)}")
    arrays = select(names, lambda name: array_of(file, name, log))
    rest = unused(file)
    if rest:
        log.notes.append(f"not read: {listed(rest)}")
    if not {"terminations", "truncations", "dones", "ends", "starts"} & set(arrays):
        log.notes.append("no array of the file marks ends of episodes or time limits")
    log.only_ends = "starts" in arrays and not {"terminations", "dones"} & set(arrays)
    log.terminals = next((arrays[n][0] for n in ("terminations", "dones") if n in arrays), "ends")
    return rows_of(arrays)
