"""Transitions -> a dataset in Minari's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    spec: EnvSpec | None = None,
) -> None:
    """Writes a dataset into a new folder, with the spaces and the specification of `env`.

    Args:
        data_path: The folder.
        env: The environment of the transitions.
        transitions: At least one, of at least one episode.
        metadata: Minari's, as far as they do not follow from the others.
        progress: Wraps the numbers of the episodes while they are written, such as `tqdm`.
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
    _write_episodes(data_path / "main_data.hdf5", transitions, progress)
    storage.update_metadata(
        {
            **metadata,
            "total_episodes": len(transitions.lengths),
            "total_steps": int(transitions.lengths.sum()),
            "dataset_size": storage.get_size(),
            "minari_version": minari.__version__,
        }
    )


def _write_episodes(
    path: Path, transitions: Transitions, progress: Callable[[Iterable[int]], Iterable[int]]
) -> None:
    """Minari's file: a group of arrays for each episode.

    h5py's lower interface, as its upper one takes three times as long, and there may be 100,000.
    """
    from h5py import h5a, h5d, h5f, h5g, h5p, h5s, h5t

    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_layout(h5d.CONTIGUOUS)
    creation.set_obj_track_times(False)
    integer, scalar = h5t.NATIVE_INT64, h5s.create(h5s.SCALAR)

    def attribute(group: Any, name: bytes, value: int) -> None:
        h5a.create(group, name, integer, scalar).write(np.array(value, np.int64))

    file = h5f.create(str(path).encode(), h5f.ACC_TRUNC)
    arrays = list(_leaves(transitions))
    types = [h5t.py_create(array.dtype, logical=True) for _, array, _ in arrays]
    stops = np.cumsum(transitions.lengths)
    starts = stops - transitions.lengths
    for number in progress(range(len(stops))):
        group = h5g.create(file, b"episode_%d" % number)
        attribute(group, b"id", number)
        attribute(group, b"total_steps", int(transitions.lengths[number]))
        if isinstance(transitions.observations, dict):
            h5g.create(group, b"observations")
        for (name, array, final), kind in zip(arrays, types, strict=True):
            # An observation more than transitions for each episode before and this one.
            first, last = starts[number] + final * number, stops[number] + final * (number + 1)
            part = np.ascontiguousarray(array[first:last])
            data = h5d.create(group, name, kind, h5s.create_simple(part.shape), creation)
            data.write(h5s.ALL, h5s.ALL, part)
    file.close()


def _leaves(transitions: Transitions) -> Iterator[tuple[bytes, NDArray[Any], int]]:
    """Names, arrays, and by how many rows an episode has more than transitions."""
    if isinstance(transitions.observations, dict):
        for key, array in transitions.observations.items():
            yield f"observations/{key}".encode(), array, 1
    else:
        yield b"observations", transitions.observations, 1
    for name in ("actions", "rewards", "terminations", "truncations"):
        yield name.encode(), getattr(transitions, name), 0


def joined(parts: Sequence[Any]) -> Any:
    """Arrays [n_i, ...], or equal dictionaries of such, one after another."""
    if isinstance(parts[0], dict):
        return {key: joined([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], tuple):
        return tuple(map(joined, zip(*parts, strict=True)))
    return np.concatenate(parts)
