"""Old Gym's `done`, true at a time limit too, in arrays that are called terminals.

A terminal transition has no bootstrap, so that time limits taken for terminal states change the
values of all states before them (Pardo et al. 2018, arXiv:1712.00378).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo_leaderboard.datasets.importing.rows import Rows

Terminals = Literal["done", "terminations"]


def without_time_limits(rows: Rows, limit: int | None) -> Rows:
    """The rows with `done` for terminations: an end at the limit is a truncation.

    The limit is the environment's. If no episode reaches it and all are equally long, or if it has
    none, it is their most common length.

    Args:
        limit: The environment's, in steps; None if it has none.
    """
    ends, lengths = _ends(rows)
    at = _limit(lengths[rows.terminations[ends]], limit)
    terminations = rows.terminations & ~rows.truncations
    terminations[ends[lengths >= at]] = False
    return rows._replace(terminations=terminations)


def suspicion(rows: Rows, limit: int | None, name: str) -> str | None:
    """A line for the user if the terminations look like `done`, else None.

    They do if every truncation is also a termination, or if no episode is cut at the limit, several
    (or all) terminate exactly there, and none later.

    Args:
        limit: The environment's, in steps; None if it has none.
        name: The file's own name of the terminations.
    """
    if rows.truncations.any():
        if not (rows.terminations | ~rows.truncations).all():
            return None
        return (
            f"every truncation is one of the {name} as well: if these are old Gym's 'done', import "
            "with --terminals-are done, as no value is bootstrapped there"
        )
    ends, every = _ends(rows)
    lengths = every[rows.terminations[ends]]
    others = every[~rows.terminations[ends]]
    if not len(lengths):
        return None
    reached = _limit(lengths, limit)
    at_limit = int((lengths == reached).sum())
    # Without its last transition, which `qlearning_dataset` leaves out, an episode is one shorter.
    cut_at_limit = bool((others >= reached - 1).any())
    if cut_at_limit or lengths.max() > reached or at_limit < min(2, len(lengths)):
        return None
    known = reached == limit
    if not known and (reached == 1 or at_limit < 2 or at_limit < len(lengths) / 10):
        return None
    limit_name = f"the time limit of {reached:,} steps" if known else f"the same {reached:,} steps"
    count = f"all {at_limit:,}" if at_limit == len(lengths) else f"{at_limit:,} of {len(lengths):,}"
    return (
        f"{count} episodes end by {name} after exactly {limit_name}: if these are old Gym's "
        "'done', import with --terminals-are done, as no value is bootstrapped there"
    )


def _ends(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """The last rows of the complete episodes, and these episodes' lengths."""
    ends = np.flatnonzero(rows.ends)
    return ends, np.diff(ends, prepend=-1)


def _limit(lengths: NDArray[Any], limit: int | None) -> int:
    """The environment's limit if an episode reaches it; else the common length of all episodes;
    without an environment's, the most common length, the longest of several."""
    if not len(lengths) or (limit and lengths.max() >= limit):
        return limit or 0
    if len(lengths) > 1 and lengths.min() == lengths.max():
        return int(lengths[0])
    values, counts = np.unique(lengths, return_counts=True)
    return limit or int(values[counts == counts.max()].max())
