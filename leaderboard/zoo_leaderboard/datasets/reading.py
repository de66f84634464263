"""Minari's format -> flat arrays, every episode in order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_core.text import printable
from zoo_leaderboard.datasets.metadata import Metadata
from zoo_leaderboard.datasets.missing import missing_package
from zoo_leaderboard.datasets.precision import Changes, Spread
from zoo_leaderboard.datasets.spaces import ActionScaling, leaves_of, observation_size

if TYPE_CHECKING:
    import gymnasium

Arrays = dict[str, NDArray[Any]]
"""observations [N + E, O] float32, actions [N, A] float32 in [-1, 1], rewards [N] float32,
terminations [N] bool, truncations [N] bool, lengths [E] int64: `OfflineData`'s layout."""

LOADER_VERSION = 2
"""Raised whenever the same file would be read to other arrays; cached copies are then rebuilt."""


class Reading(NamedTuple):
    """A dataset that was read."""

    arrays: Arrays
    notes: tuple[str, ...]
    """Lines on what float32 loses of its numbers."""


def spaces_of(metadata: Metadata) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    """The observation and the action space of a dataset, from its metadata.

    Sets made before Minari 0.5 may only name their environment, which is then made and asked.

    Raises:
        ZooError: neither is there, or a space is of a kind that Minari cannot describe.
    """
    from minari.serialization import deserialize_space

    from zoo_leaderboard.datasets.environment import Environment

    texts = metadata.get("observation_space"), metadata.get("action_space")
    if all(texts):
        try:
            observation, action = (deserialize_space(text) for text in texts)
        except Exception as error:
            raise ZooError(
                f"dataset '{metadata.get('dataset_id')}' has a space that this version of Minari "
                f"cannot read: {printable(str(error) or type(error).__name__, 80)}"
            ) from None
        return observation, action
    environment = Environment.of(metadata)
    if environment is None:
        raise ZooError(
            f"dataset '{metadata.get('dataset_id')}' names neither its spaces nor an environment"
        )
    env = environment.make_raw()
    try:
        return env.observation_space, env.action_space
    finally:
        env.close()


def read(name: str, data_path: Path, metadata: Metadata) -> Reading:
    """Reads a dataset through Minari; `data_path` is its `data` folder.

    Actions are scaled from the space's bounds to [-1, 1], rounding beyond them is clipped. An
    episode without transitions is left out.

    Raises:
        ZooError: the file is damaged; episodes whose parts do not fit together; NaN or infinity;
            actions outside their bounds, or too close for them; no transition at all; spaces that
            are not vectors.
    """
    space, action_space = spaces_of(metadata)
    observation_size(name, space)
    reader = _Reader(name, space, ActionScaling.of(name, action_space))
    try:
        from minari.dataset.episode_data import EpisodeData
        from minari.dataset.minari_storage import MinariStorage

        _check_version(name, metadata)
        stored = MinariStorage.read(data_path).get_episodes(range(metadata["total_episodes"]))
        episodes = [
            reader.episode(number, episode)
            for number, episode in enumerate(EpisodeData(**each) for each in stored)
            if len(episode.rewards)
        ]
    except ImportError as error:
        raise ZooError(f"dataset '{name}' cannot be read: {missing_package(error)}") from None
    except ZooError:
        raise
    except Exception as error:
        reason = printable(str(error) or type(error).__name__, 80)
        raise ZooError(
            f"dataset '{name}' at '{data_path}' cannot be read: {reason}; "
            f"if the copy is damaged, delete it and get it again (minari download {name})"
        ) from None
    if not episodes:
        raise ZooError(f"dataset '{name}' is empty: it has no transition")
    return Reading(_joined(episodes), reader.notes())


def _check_version(name: str, metadata: Metadata) -> None:
    from minari import __version__, supported_dataset_versions

    version = metadata.get("minari_version")
    if version is not None and version not in supported_dataset_versions:
        raise ZooError(
            f"dataset '{name}' was written by Minari {printable(version, 40)}, which Minari "
            f"{__version__} does not read; pip install -U minari"
        )


class _Reader:
    """Checks and converts the episodes of one dataset."""

    def __init__(self, name: str, space: gymnasium.Space[Any], scaling: ActionScaling) -> None:
        self.name, self.space, self.scaling = name, space, scaling
        self.observations, self.rewards = Changes("observation"), Changes("reward")
        self.actions = Spread()

    def notes(self) -> tuple[str, ...]:
        return (
            *self.observations.notes(self.name),
            *self.rewards.notes(self.name),
            *self.actions.notes(self.name, self.scaling),
        )

    def episode(self, number: int, episode: Any) -> Arrays:
        """One episode of T transitions and T + 1 observations."""
        where = f"dataset '{self.name}', episode {number}"
        observations = np.concatenate(leaves_of(self.space, episode.observations), axis=-1)
        rewards = np.asarray(episode.rewards).reshape(-1)
        if episode.actions.shape[1:] != self.scaling.low.shape:
            raise ZooError(
                f"{where}: actions {list(episode.actions.shape)}, not [T, {len(self.scaling.low)}]"
            )
        raw = {"observations": observations, "actions": episode.actions, "rewards": rewards}
        actions = self.scaling.to_unit(episode.actions)
        with np.errstate(over="ignore"):
            arrays: Arrays = {
                "observations": observations.astype(np.float32),
                "actions": np.clip(actions, -1.0, 1.0).astype(np.float32),
                "rewards": rewards.astype(np.float32),
                "terminations": np.asarray(episode.terminations, bool).reshape(-1),
                "truncations": np.asarray(episode.truncations, bool).reshape(-1),
                "lengths": np.array([len(rewards)], np.int64),
            }
        _check_lengths(where, arrays, len(rewards))
        for key, values in raw.items():
            if not np.isfinite(values).all():
                raise ZooError(
                    f"{where}: {key} has NaN or infinity; "
                    "mend or drop the episode before training on it"
                )
            if not np.isfinite(arrays[key]).all():
                raise ZooError(f"{where}: {key} has numbers beyond float32, 3.4e38; rescale them")
        if excess := self.scaling.excess(episode.actions):
            raise ZooError(
                f"{where}: actions leave the bounds of its action space by "
                f"{excess:.3g} of half their range; clip them when it is made"
            )
        self.observations.add(observations)
        self.rewards.add(rewards[:, None])
        self.actions.add(episode.actions)
        return arrays


def _check_lengths(where: str, arrays: Arrays, steps: int) -> None:
    expected = dict.fromkeys(("actions", "rewards", "terminations", "truncations"), steps)
    for key, length in {"observations": steps + 1, **expected}.items():
        if len(arrays[key]) != length:
            raise ZooError(
                f"{where}: {len(arrays[key])} {key} where {steps} transitions need {length}"
            )


def _joined(episodes: Iterable[Arrays]) -> Arrays:
    listed = list(episodes)
    return {key: np.concatenate([episode[key] for episode in listed]) for key in listed[0]}
