"""Episodes -> a dataset in Minari's format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import gymnasium


class Episode(NamedTuple):
    """T transitions as Minari stores them."""

    observations: Any
    """[T + 1, ...], or a dictionary of such arrays."""
    actions: NDArray[np.float32]
    """[T, A], within the environment's bounds."""
    rewards: NDArray[np.float64]
    """[T]."""
    terminations: NDArray[np.bool_]
    """[T]."""
    truncations: NDArray[np.bool_]
    """[T]."""


def write_episodes(
    data_path: Path,
    env: gymnasium.Env[Any, Any],
    episodes: Iterable[Episode],
    metadata: Mapping[str, Any],
) -> None:
    """Writes a dataset into a new folder, with the spaces and the specification of `env`."""
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(
        data_path,
        observation_space=env.observation_space,
        action_space=env.action_space,
        env_spec=env.spec,
    )
    storage.update_episodes(EpisodeBuffer(**episode._asdict()) for episode in episodes)
    storage.update_metadata({**metadata, "minari_version": minari.__version__})
