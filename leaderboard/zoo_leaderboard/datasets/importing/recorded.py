"""Rows of transitions -> episodes of T transitions and T + 1 observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError

Array = NDArray[Any]


class Recorded(NamedTuple):
    """An episode as it was logged: flat observations, the environment's own action scale."""

    observations: Array
    """[T + 1, O]."""
    actions: Array
    """[T, A]."""
    rewards: Array
    """[T]."""
    terminated: bool
    """Whether the last transition reached a terminal state; else the episode was cut there."""
    goals: Array | None = None
    """[T + 1, G], what the episode aimed at, where the file says it."""


@dataclass
class Log:
    """The episodes of a file and what its layout left unknown."""

    layout: str
    episodes: list[Recorded] = field(default_factory=list)
    dropped: int = 0
    """Last transitions of cut episodes, whose successor the file does not have."""
    repeated: int = 0
    """Terminal transitions whose successor the file does not have: the last observation stands in
    its place, where no bootstrap reads it."""
    seams: int = 0
    """Places inside an episode where the next observation is not the following row's: the episode
    is cut there."""


class Rows(NamedTuple):
    """N transitions, one episode after the other."""

    observations: Array
    """[N, O]."""
    actions: Array
    """[N, A]."""
    rewards: Array
    """[N]."""
    terminations: Array
    """[N] bool."""
    truncations: Array
    """[N] bool."""
    next_observations: Array | None = None
    """[N, O]."""
    goals: Array | None = None
    """[N, G]."""


def rows_of(
    arrays: dict[str, Array],
    terminations: str,
    truncations: str,
    goals: str | None = None,
) -> Rows:
    """The arrays of a file, by their names in it, checked against each other.

    Raises:
        ZooError: one is missing, or their lengths or shapes do not fit together.
    """
    wanted = ("observations", "actions", "rewards", terminations, truncations)
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise ZooError(f"the file has no '{missing[0]}'; it has {', '.join(sorted(arrays))}")
    steps = len(arrays["rewards"])
    extra = [name for name in ("next_observations", goals) if name in arrays]
    for name in (*wanted, *extra):
        if len(arrays[name]) != steps:
            raise ZooError(f"the file has {len(arrays[name])} {name} and {steps} rewards")
    if not steps:
        raise ZooError("the file is empty: it has no transition")
    following = arrays.get("next_observations")
    observations = vectors(arrays["observations"], "observations")
    if following is not None and following.reshape(steps, -1).shape != observations.shape:
        raise ZooError("the file's next_observations have another shape than its observations")
    return Rows(
        observations,
        vectors(arrays["actions"], "actions"),
        column(arrays["rewards"], "rewards"),
        flags(arrays[terminations], terminations),
        flags(arrays[truncations], truncations),
        None if following is None else following.reshape(steps, -1),
        vectors(arrays[goals], goals) if goals is not None and goals in arrays else None,
    )


def vectors(array: Array, name: str) -> Array:
    """[N, D] of [N] or [N, D].

    Raises:
        ZooError: images or other shapes; no numbers.
    """
    if array.ndim > 2 or array.dtype.kind not in "fiub":
        raise ZooError(f"the file's {name} are {array.dtype} {list(array.shape)}, no vectors")
    return array.reshape(len(array), -1)


def column(array: Array, name: str) -> Array:
    """[N] of [N] or [N, 1].

    Raises:
        ZooError: more than one number per row; no numbers.
    """
    if array.size != len(array) or array.dtype.kind not in "fiub":
        raise ZooError(
            f"the file's {name} are {array.dtype} {list(array.shape)}, not one number a transition"
        )
    return array.reshape(-1)


def flags(array: Array, name: str) -> Array:
    """[N] bool of [N] or [N, 1].

    Raises:
        ZooError: a number that is neither 0 nor 1.
    """
    numbers = column(array, name)
    if not np.isin(numbers, (0, 1)).all():
        raise ZooError(f"the file's {name} are not all 0 or 1")
    return numbers.astype(bool)


def cut(rows: Rows, log: Log) -> None:
    """Adds the episodes of rows to a log; one ends at each termination or truncation.

    What follows the last of them is an episode that was cut by the end of the file.

    Raises:
        ZooError: no episode ends anywhere, so that they cannot be told apart.
    """
    ends = rows.terminations | rows.truncations
    if not ends.any():
        raise ZooError(
            "no transition of the file ends an episode, neither by terminating nor by a time limit"
        )
    for start, stop in _segments(ends):
        if rows.next_observations is None:
            goals = None if rows.goals is None else rows.goals[start:stop]
            add_without_successor(
                log,
                rows.observations[start:stop],
                rows.actions[start:stop],
                rows.rewards[start:stop],
                bool(rows.terminations[stop - 1]),
                goals,
            )
            continue
        for first, last in _without_seams(rows.next_observations, rows.observations, start, stop):
            log.seams += last < stop
            log.episodes.append(_with_successor(rows, rows.next_observations, first, last))


def _segments(ends: Array) -> Iterator[tuple[int, int]]:
    start = 0
    for stop in [*(np.flatnonzero(ends) + 1).tolist(), len(ends)]:
        if stop > start:
            yield start, stop
        start = stop


def _without_seams(
    following: Array, observations: Array, start: int, stop: int
) -> Iterator[tuple[int, int]]:
    """The stretches of an episode in which each successor is the next row's observation."""
    same = np.isclose(
        following[start : stop - 1],
        observations[start + 1 : stop],
        rtol=1e-5,
        atol=1e-5,
        equal_nan=True,
    ).all(1)
    for first, last in _segments(np.append(~same, False)):
        yield start + first, start + last


def _with_successor(rows: Rows, following: Array, first: int, last: int) -> Recorded:
    goals = None
    if rows.goals is not None:
        goals = np.concatenate([rows.goals[first:last], rows.goals[last - 1 : last]])
    return Recorded(
        np.concatenate([rows.observations[first:last], following[last - 1 : last]]),
        rows.actions[first:last],
        rows.rewards[first:last],
        bool(rows.terminations[last - 1]),
        goals,
    )


def add_without_successor(
    log: Log,
    observations: Array,
    actions: Array,
    rewards: Array,
    terminated: bool,
    goals: Array | None = None,
) -> None:
    """Adds an episode of as many observations as actions: the last successor is not in the file.

    Where the episode terminated, the last observation is repeated, and nothing bootstraps from it.
    Where it was cut, a value of the successor would be asked for: the last transition is dropped
    (as D4RL's `qlearning_dataset` and d3rlpy do) and its observation becomes the final one.
    """
    if terminated:
        log.repeated += 1
        observations = np.concatenate([observations, observations[-1:]])
        goals = None if goals is None else np.concatenate([goals, goals[-1:]])
    else:
        log.dropped += 1
        actions, rewards = actions[:-1], rewards[:-1]
    if len(actions):
        log.episodes.append(Recorded(observations, actions, rewards, terminated, goals))
