"""numpy archives (`numpy.savez`), in Gymnasium's words or D4RL's:

observations [N, O], actions [N, A], rewards [N]
terminations [N] (or terminals), truncations [N] (or timeouts)
next_observations [N, O]     optional; without it an episode's last successor is unknown
goals [N, G]                 optional, for environments with goals
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.recorded import Log, cut, rows_of

SYNONYMS = {"terminals": "terminations", "timeouts": "truncations"}
NAMES = (
    "observations",
    "actions",
    "rewards",
    "terminations",
    "truncations",
    "next_observations",
    "goals",
)


def read(archive: Mapping[str, Any]) -> Log:
    """The episodes of an open archive.

    Raises:
        ZooError: an array is missing, does not fit the others, or holds Python objects.
    """
    log = Log("numpy")
    arrays: dict[str, Any] = {}
    for name in archive:
        known = SYNONYMS.get(name, name)
        if known in NAMES:
            try:
                arrays[known] = np.asarray(archive[name])
            except ValueError:
                raise ZooError(
                    f"the archive's {name} hold Python objects; save arrays of numbers"
                ) from None
    cut(rows_of(arrays, "terminations", "truncations", "goals"), log)
    return log
