"""imitation's numpy archives of trajectories (Gleave et al. 2022, arXiv:2211.11972), as
`imitation.data.types.save` wrote them before it wrote folders of Hugging Face's `datasets`:

    obs [N + E, O], acts [N, A], rews [N], terminal [E], infos
    indices [E - 1]      the first transition of each trajectory but the first
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.entries import array_of
from zoo_leaderboard.datasets.importing.episodes import Log
from zoo_leaderboard.datasets.importing.rows import Rows, flags, rows_of


def fits(file: Mapping[str, Any]) -> bool:
    """Whether an open archive has this layout."""
    return all(name in file for name in ("obs", "acts", "indices", "terminal"))


def read(file: Mapping[str, Any], log: Log) -> Rows:
    """The transitions of an open archive.

    Raises:
        ZooError: rewards are missing; trajectories that do not fit the arrays.
    """
    if "rews" not in file:
        raise ZooError(
            "the trajectories have no rewards ('rews'); save TrajectoryWithRew, or add an array of "
            "rewards [N]"
        )
    log.terminals = "terminal"
    names = ("obs", "acts", "rews", "indices", "terminal")
    obs, acts, rews, indices, terminal = (array_of(file, name, log) for name in names)
    starts = np.append(0, indices.astype(np.int64))
    lengths = np.diff(np.append(starts, len(acts)))
    terminated = flags("terminal", terminal)
    if (lengths <= 0).any() or len(terminated) != len(lengths):
        raise ZooError(
            f"its indices split {len(acts):,} acts into {len(lengths):,} trajectories, and "
            f"terminal has {len(terminated):,}"
        )
    if len(obs) != len(acts) + len(lengths):
        raise ZooError(
            f"its {len(lengths):,} trajectories have {len(obs):,} obs and {len(acts):,} acts: one "
            "obs more is needed for each"
        )
    finals = np.cumsum(lengths + 1) - 1
    firsts = finals - lengths
    ends = np.zeros(len(acts), bool)
    ends[np.cumsum(lengths) - 1] = True
    terminations = ends.copy()
    terminations[ends] = terminated
    return rows_of(
        {
            "observations": ("obs", np.delete(obs, finals, axis=0)),
            "next_observations": ("obs", np.delete(obs, firsts, axis=0)),
            "actions": ("acts", acts),
            "rewards": ("rews", rews),
            "terminations": ("terminal", terminations),
            "ends": ("indices", ends),
        }
    )
