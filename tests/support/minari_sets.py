"""Small datasets in Minari's format, written where `MINARI_DATASETS_PATH` points to."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces


def logged(
    observations: Any, actions: Any, rewards: Any = None, terminated: bool = False
) -> dict[str, Any]:
    """One episode of T actions and T + 1 observations; its rewards are 0 by default."""
    steps = len(actions)
    last = np.arange(steps) == steps - 1
    return {
        "observations": observations,
        "actions": actions,
        "rewards": np.zeros(steps) if rewards is None else rewards,
        "terminations": last & terminated,
        "truncations": last & (not terminated),
    }


def minari_set(
    id: str,
    episodes: Sequence[dict[str, Any]],
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    **metadata: Any,
) -> Path:
    """Writes a dataset without an environment and gives its `data` folder."""
    import minari
    from minari.data_collector import EpisodeBuffer

    buffers = [EpisodeBuffer(id=i, **episode) for i, episode in enumerate(episodes)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            id,
            buffers,
            observation_space=observation_space,
            action_space=action_space,
            **metadata,
        )
    return Path(os.environ["MINARI_DATASETS_PATH"]) / id / "data"
