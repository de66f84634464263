"""What an embedded dataset consists of, and how it is written in Minari's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.reference import Reference

CODE = "zoo_leaderboard/datasets/embedded in the distribution zoo-leaderboard"


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


@dataclass(frozen=True)
class Builder:
    """One embedded dataset."""

    id: str
    description: str
    algorithm: str
    """What drove the environment."""
    environment: Environment
    """Where it was logged."""
    evaluation: Environment
    """Where policies are evaluated: the same, but for the point maze's goals."""
    reference: Reference
    episodes: Callable[[], Iterable[Episode]]
    """Makes the episodes, the same ones on every call."""
    requirements: tuple[str, ...] = ()
    """What to pip install for its environment."""


def write(builder: Builder, data_path: Path) -> None:
    """Writes a dataset in Minari's format into a new folder.

    Raises:
        ZooError: the environment's package is missing.
    """
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    env, evaluation = builder.environment.make_raw(), builder.evaluation.make_raw()
    assert evaluation.spec is not None
    storage = MinariStorage.new(
        data_path,
        observation_space=env.observation_space,
        action_space=env.action_space,
        env_spec=env.spec,
    )
    storage.update_episodes(
        EpisodeBuffer(
            observations=episode.observations,
            actions=episode.actions,
            rewards=episode.rewards,
            terminations=episode.terminations,
            truncations=episode.truncations,
        )
        for episode in builder.episodes()
    )
    storage.update_metadata(
        {
            "dataset_id": builder.id,
            "description": builder.description,
            "algorithm_name": builder.algorithm,
            "author": {"the zoo's contributors"},
            "code_permalink": CODE,
            "license": "MIT",
            "requirements": list(builder.requirements),
            "eval_env_spec": evaluation.spec.to_json(),
            "ref_min_score": builder.reference.min,
            "ref_max_score": builder.reference.max,
            "ref_source": builder.reference.source,
            "minari_version": minari.__version__,
        }
    )
    env.close()
    evaluation.close()
