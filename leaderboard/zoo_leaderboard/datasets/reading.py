"""Minari's format -> flat arrays, every episode in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.spaces import (
    TOLERANCE,
    ActionScaling,
    flatten_observation,
    observation_size,
)

if TYPE_CHECKING:
    import gymnasium

Arrays = dict[str, NDArray[Any]]
"""observations [N + E, O] float32, actions [N, A] float32 in [-1, 1], rewards [N] float32,
terminations [N] bool, truncations [N] bool, lengths [E] int64: `OfflineData`'s layout."""

LOADER_VERSION = 1
"""Raised whenever the same file would be read to other arrays; cached copies are then rebuilt."""


def spaces_of(metadata: Mapping[str, Any]) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
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
                f"cannot read: {error}"
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


def read(name: str, data_path: Path, metadata: Mapping[str, Any]) -> Arrays:
    """Reads a dataset through Minari; `data_path` is its `data` folder.

    Actions are scaled from the space's bounds to [-1, 1], rounding beyond them is clipped. An
    episode without transitions is left out.

    Raises:
        ZooError: the file is damaged; episodes whose parts do not fit together; NaN or infinity;
            actions outside their bounds; no transition at all; spaces that are not vectors.
    """
    space, action_space = spaces_of(metadata)
    observation_size(name, space)
    scaling = ActionScaling.of(name, action_space)
    try:
        import minari

        episodes = [
            _episode(name, number, episode, space, scaling)
            for number, episode in enumerate(minari.MinariDataset(data_path).iterate_episodes())
            if len(episode.rewards)
        ]
    except ImportError as error:
        raise ZooError(
            f"dataset '{name}' needs a package that is not installed ({error}); "
            'pip install "minari[hdf5]"'
        ) from None
    except (OSError, KeyError, ValueError, AssertionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZooError(
            f"dataset '{name}' at '{data_path}' cannot be read: {reason}; "
            f"if the copy is damaged, delete it and get it again (minari download {name})"
        ) from None
    if not episodes:
        raise ZooError(f"dataset '{name}' is empty: it has no transition")
    return _joined(episodes)


def _episode(
    name: str,
    number: int,
    episode: Any,
    space: gymnasium.Space[Any],
    scaling: ActionScaling,
) -> Arrays:
    """One episode of T transitions and T + 1 observations, checked."""
    steps = len(episode.rewards)
    actions = scaling.to_unit(episode.actions)
    arrays: Arrays = {
        "observations": flatten_observation(space, episode.observations),
        "actions": np.clip(actions, -1.0, 1.0).astype(np.float32),
        "rewards": np.asarray(episode.rewards, np.float32).reshape(-1),
        "terminations": np.asarray(episode.terminations, bool).reshape(-1),
        "truncations": np.asarray(episode.truncations, bool).reshape(-1),
        "lengths": np.array([steps], np.int64),
    }
    wanted = dict.fromkeys(("actions", "rewards", "terminations", "truncations"), steps)
    for key, length in {"observations": steps + 1, **wanted}.items():
        if len(arrays[key]) != length:
            raise ZooError(
                f"dataset '{name}', episode {number}: {len(arrays[key])} {key} where "
                f"{steps} transitions need {length}"
            )
    for key in ("observations", "actions", "rewards"):
        # Clipping has hidden an infinite action; the unclipped ones show it.
        if not np.isfinite(actions if key == "actions" else arrays[key]).all():
            raise ZooError(
                f"dataset '{name}', episode {number}: {key} has NaN or infinity; "
                "mend or drop the episode before training on it"
            )
    if np.abs(actions).max() > 1.0 + TOLERANCE:
        raise ZooError(
            f"dataset '{name}', episode {number}: actions leave the bounds of its action space by "
            f"{np.abs(actions).max() - 1.0:.3g} of half their range; clip them when it is made"
        )
    return arrays


def _joined(episodes: Iterable[Arrays]) -> Arrays:
    listed = list(episodes)
    return {key: np.concatenate([episode[key] for episode in listed]) for key in listed[0]}
