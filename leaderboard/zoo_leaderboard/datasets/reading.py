"""Minari's format -> flat arrays, every episode in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_core.precision import Changes
from zoo_core.text import printable
from zoo_leaderboard.datasets import episode_file
from zoo_leaderboard.datasets.metadata import Metadata
from zoo_leaderboard.datasets.missing import missing_package
from zoo_leaderboard.datasets.progress import tracked
from zoo_leaderboard.datasets.spaces import ActionScaling, leaves_of, observation_size
from zoo_leaderboard.datasets.spread import Spread
from zoo_leaderboard.datasets.writing import Episode, Transitions

if TYPE_CHECKING:
    import gymnasium

Arrays = dict[str, NDArray[Any]]
"""observations [N + E, O] float32, actions [N, A] float32 in [-1, 1], rewards [N] float32,
terminations [N] bool, truncations [N] bool, lengths [E] int64: `OfflineData`'s layout."""

BLOCK = 65_536
"""Transitions that are converted at once, at least."""

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

    from zoo_leaderboard.datasets.environment import Environment, close

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
        close(env)


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
    reader = Reader(name, space, ActionScaling.of(name, action_space))
    try:
        from minari.dataset.minari_storage import MinariStorage

        _check_version(name, metadata)
        numbers = tracked(range(metadata["total_episodes"]), f"reading {name}")
        if metadata.get("data_format", "hdf5") == "hdf5":
            stored = episode_file.read(data_path / "main_data.hdf5", numbers)
        else:
            stored = MinariStorage.read(data_path).get_episodes(numbers)
        for first, block in _blocks(name, stored):
            reader.add(block, first)
    except ImportError as error:
        raise ZooError(f"dataset '{name}' cannot be read: {missing_package(error)}") from None
    except ZooError:
        raise
    except Exception as error:
        reason = printable(str(error) or type(error).__name__, 60)
        raise ZooError(
            f"dataset '{name}' cannot be read, its copy at '{data_path}' may be damaged "
            f"({reason}); delete it and get it again"
        ) from None
    return reader.reading()


def _check_version(name: str, metadata: Metadata) -> None:
    from minari import __version__, supported_dataset_versions

    version = metadata.get("minari_version")
    if version is not None and version not in supported_dataset_versions:
        raise ZooError(
            f"dataset '{name}' was written by Minari {printable(version, 40)}, which Minari "
            f"{__version__} does not read; pip install -U minari"
        )


class Reader:
    """Checks and converts the transitions of one dataset, block by block.

    Args:
        name: The dataset's, in messages.
        space: Its observation space.
        scaling: Scaling of its actions.
    """

    def __init__(self, name: str, space: gymnasium.Space[Any], scaling: ActionScaling) -> None:
        self.name, self.space, self.scaling = name, space, scaling
        self._observations, self._rewards = Changes("observation"), Changes("reward")
        self._actions = Spread()
        self._blocks: list[Arrays] = []

    def reading(self) -> Reading:
        """Everything that was added.

        Raises:
            ZooError: there is no transition; the actions are too close for their bounds.
        """
        if not self._blocks:
            raise ZooError(f"dataset '{self.name}' is empty: it has no transition")
        notes = (
            *self._observations.notes(self.name),
            *self._rewards.notes(self.name),
            *self._actions.notes(self.name, self.scaling),
        )
        joined = {key: np.concatenate([b[key] for b in self._blocks]) for key in self._blocks[0]}
        return Reading(joined, notes)

    def add(self, transitions: Transitions, first: int = 0) -> None:
        """Takes further transitions; `first` is the number of their first episode.

        Raises:
            ZooError: NaN, infinity or numbers beyond float32; actions outside their bounds.
        """
        lengths = np.asarray(transitions.lengths, np.int64)
        observations = np.concatenate(leaves_of(self.space, transitions.observations), axis=-1)
        if transitions.actions.shape[1:] != self.scaling.low.shape:
            raise ZooError(
                f"dataset '{self.name}', episode {first}: actions "
                f"{list(transitions.actions.shape)}, not [T, {len(self.scaling.low)}]"
            )
        raw = {
            "observations": observations,
            "actions": transitions.actions,
            "rewards": transitions.rewards,
        }
        actions = self.scaling.to_unit(transitions.actions)
        with np.errstate(over="ignore"):
            arrays: Arrays = {
                "observations": observations.astype(np.float32),
                "actions": np.clip(actions, -1.0, 1.0).astype(np.float32),
                "rewards": transitions.rewards.astype(np.float32),
                "terminations": np.asarray(transitions.terminations, bool),
                "truncations": np.asarray(transitions.truncations, bool),
                "lengths": lengths,
            }
        for key, values in raw.items():
            stops = np.cumsum(lengths + (key == "observations"))
            for wrong, what in (
                (values, "NaN or infinity; mend or drop the episode before training on it"),
                (arrays[key], "numbers beyond float32, 3.4e38; rescale them"),
            ):
                finite = np.isfinite(wrong).reshape(len(wrong), -1).all(1)
                if not finite.all():
                    raise ZooError(
                        f"{self._where(finite.argmin(), stops, first)}: {key} has {what}"
                    )
        if excess := self.scaling.excess(transitions.actions):
            where = self._where(np.abs(actions).max(1).argmax(), np.cumsum(lengths), first)
            raise ZooError(
                f"{where}: actions leave the bounds of its action space by "
                f"{excess:.3g} of half their range; clip them when it is made"
            )
        self._observations.add(observations)
        self._rewards.add(transitions.rewards[:, None])
        self._actions.add(transitions.actions)
        self._blocks.append(arrays)

    def _where(self, row: Any, stops: NDArray[Any], first: int) -> str:
        return f"dataset '{self.name}', episode {first + int(np.searchsorted(stops, row, 'right'))}"


def _blocks(name: str, episodes: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, Transitions]]:
    """Blocks of whole episodes and the numbers of their first ones.

    Blocks, as one episode at a time is slow for short ones, and all at once needs twice the memory.
    """
    block: list[Episode] = []
    first = steps = 0
    for number, stored in enumerate(episodes):
        episode = _episode(name, number, stored)
        if len(episode.rewards):
            block.append(episode)
            steps += len(episode.rewards)
            if steps < BLOCK:
                continue
        if block:
            yield first, Transitions.of(block)
        block, first, steps = [], number + 1, 0
    if block:
        yield first, Transitions.of(block)


def _episode(name: str, number: int, stored: Mapping[str, Any]) -> Episode:
    """One episode of T transitions and T + 1 observations.

    Raises:
        ZooError: its parts have other lengths.
    """
    columns = (np.asarray(stored[key]) for key in ("rewards", "terminations", "truncations"))
    actions = np.asarray(stored["actions"])
    episode = Episode(stored["observations"], actions, *(c.reshape(-1) for c in columns))
    steps = len(episode.rewards)
    for key, part in episode._asdict().items():
        length = steps + 1 if key == "observations" else steps
        for leaf in _leaves(part):
            if len(leaf) != length:
                raise ZooError(
                    f"dataset '{name}', episode {number}: {len(leaf)} {key} where "
                    f"{steps} transitions need {length}"
                )
    return episode


def _leaves(part: Any) -> Iterator[Any]:
    if isinstance(part, Mapping):
        part = tuple(part.values())
    if isinstance(part, tuple):
        for entry in part:
            yield from _leaves(entry)
    else:
        yield part
