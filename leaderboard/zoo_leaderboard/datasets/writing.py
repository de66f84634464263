"""Transitions -> a dataset in Minari's format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_leaderboard.datasets import episode_file

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec


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


class Transitions(NamedTuple):
    """N transitions of E episodes, one episode after another, as Minari stores them."""

    observations: Any
    """[N + E, ...], or a dictionary of such arrays."""
    actions: NDArray[Any]
    """[N, A], within the environment's bounds."""
    rewards: NDArray[np.float64]
    """[N]."""
    terminations: NDArray[np.bool_]
    """[N]."""
    truncations: NDArray[np.bool_]
    """[N]."""
    lengths: NDArray[np.int64]
    """[E]."""

    @classmethod
    def of(cls, episodes: Iterable[Episode]) -> Transitions:
        """Those of at least one episode."""
        listed = list(episodes)
        observations, *others = zip(*listed, strict=True)
        lengths = np.array([len(episode.rewards) for episode in listed], np.int64)
        actions, rewards, terminations, truncations = map(np.concatenate, others)
        return cls(joined(observations), actions, rewards, terminations, truncations, lengths)


def write_transitions(
    data_path: Path,
    env: gymnasium.Env[Any, Any],
    transitions: Transitions,
    metadata: Mapping[str, Any],
    spec: EnvSpec | None = None,
) -> None:
    """Writes a dataset into a new folder, with the spaces and the specification of `env`.

    Args:
        data_path: The folder.
        env: The environment of the transitions.
        transitions: At least one, of at least one episode.
        metadata: Minari's, as far as they do not follow from the others.
        spec: Specification of the environment. If None, the one that `env` has.
    """
    import minari
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(
        data_path,
        observation_space=env.observation_space,
        action_space=env.action_space,
        env_spec=spec or env.spec,
    )
    episode_file.write(data_path / "main_data.hdf5", _named(transitions), transitions.lengths)
    storage.update_metadata(
        {
            **metadata,
            "total_episodes": len(transitions.lengths),
            "total_steps": int(transitions.lengths.sum()),
            "dataset_size": storage.get_size(),
            "minari_version": minari.__version__,
        }
    )


def _named(transitions: Transitions) -> dict[str, NDArray[Any]]:
    """Arrays by their names in the group of an episode."""
    columns = ("actions", "rewards", "terminations", "truncations")
    observations = transitions.observations
    if not isinstance(observations, dict):
        observations = {"": observations}
    named = {f"observations/{key}".rstrip("/"): array for key, array in observations.items()}
    return named | {name: getattr(transitions, name) for name in columns}


def joined(parts: Sequence[Any]) -> Any:
    """Arrays [n_i, ...], or equal dictionaries of such, one after another."""
    if isinstance(parts[0], dict):
        return {key: joined([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], tuple):
        return tuple(map(joined, zip(*parts, strict=True)))
    return np.concatenate(parts)
