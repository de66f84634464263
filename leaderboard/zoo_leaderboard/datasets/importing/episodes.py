"""Rows of transitions -> episodes of T transitions and T + 1 observations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.precision import equal_rows
from zoo_leaderboard.datasets.importing.rows import Rows

Array = NDArray[Any]


class Episodes(NamedTuple):
    """E episodes one after another: N transitions, N + E observations."""

    observations: Array
    """[N + E, O], flat."""
    actions: Array
    """[N, A], in the environment's own scale."""
    rewards: Array
    """[N]."""
    terminated: Array
    """[E] bool, whether the last transition reached a terminal state; else it was cut there."""
    lengths: Array
    """[E], transitions of each episode."""
    goals: Array | None = None
    """[N + E, G], goals of the episodes; None if the file has none."""


@dataclass
class Log:
    """Information that a file's layout lacks, and how the import handled it."""

    layout: str
    dropped: int = 0
    """Last transitions of cut episodes, whose successor the file does not have."""
    repeated: int = 0
    """Terminal transitions whose successor the file does not have. The last observation is repeated
    in its place; no bootstrap reads it."""
    seams: int = 0
    """Places inside an episode where the next observation is not the following row's: the episode
    is cut there."""
    entries: dict[str, slice] = field(default_factory=dict)
    """Columns of each entry, where the file's observations are a group of several arrays."""
    terminals: str = "terminals"
    """The file's own name of its terminations."""
    only_ends: bool = False
    """Whether the file marks ends of episodes and not how they ended."""
    notes: list[str] = field(default_factory=list)
    """Further lines for the user."""

    def lines(self) -> list[str]:
        """Everything the user should know, a line each."""
        counts = (
            (self.dropped, "cut episodes lost their last transition, whose successor is unknown"),
            (self.repeated, "terminal observations are the one before: the file has none"),
            (self.seams, "times an episode was cut, as its next observation was another's"),
        )
        return [f"{count:,} {what}" for count, what in counts if count] + self.notes


def with_seams(rows: Rows, log: Log) -> Rows:
    """The rows, with an end where a successor, if the file has them, is not the next row."""
    if rows.next_observations is None:
        return rows
    same = equal_rows(rows.next_observations[:-1], rows.observations[1:])
    seams = np.append(~same, False) & ~rows.ends
    log.seams = int(seams.sum())
    return rows._replace(ends=rows.ends | seams)


def cut(rows: Rows, log: Log) -> Episodes:
    """The episodes of rows; what follows the last end was cut by the end of the file.

    Without `next_observations` the last successor of an episode is not in the file. If the episode
    terminated, its last observation is repeated, and nothing bootstraps from it. If it was cut, a
    value of the successor would be needed: the last transition is dropped (as D4RL's
    `qlearning_dataset` and d3rlpy do) and its observation becomes the final one.

    Raises:
        ZooError: no episode ends anywhere, so that they cannot be told apart; no transition is
            left.
    """
    ends = rows.ends.copy()
    following = rows.next_observations
    if following is None and not ends.any():
        raise ZooError(
            "no transition of the file ends an episode, and it has no next_observations to find "
            "ends by; add timeouts, true in the last row of each episode"
        )
    ends[-1] = True
    counts = np.ones(len(ends), np.int64)
    """[N], observations stored per row: 2 if a final observation follows, else 1."""
    kept = np.ones(len(ends), bool)
    if following is None:
        log.repeated = int((ends & rows.terminations).sum())
        log.dropped = int((ends & ~rows.terminations).sum())
        kept = rows.terminations | ~ends
        counts += ends & rows.terminations
        # A cut episode of one transition has none left, and its observation no use.
        counts[ends & ~kept & np.append(True, ends[:-1])] = 0
    else:
        counts += ends
    source = np.repeat(np.arange(len(ends)), counts)
    observations = rows.observations[source]
    steps = np.bincount(_episode_of(ends)[kept], minlength=int(ends.sum()))
    lengths = steps[steps > 0]
    if not len(lengths):
        raise ZooError("no transition is left whose successor is known")
    if following is not None:
        finals = np.cumsum(lengths + 1) - 1
        kinds = np.result_type(observations, following)
        observations = observations.astype(kinds, copy=False)
        observations[finals] = following[ends]
    return Episodes(
        observations,
        rows.actions[kept],
        rows.rewards[kept],
        rows.terminations[ends][steps > 0],
        lengths,
        None if rows.goals is None else rows.goals[source],
    )


def _episode_of(ends: Array) -> Array:
    """[N], the number of each row's episode."""
    return np.cumsum(ends) - ends
