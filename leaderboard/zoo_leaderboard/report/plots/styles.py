"""A colour and a marker for every row, the same in all figures."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from zoo_leaderboard.board.board import Board

LETTER = 0.085
"""Approximate width of a letter of a label, in inches."""
LONGEST = 60
"""Maximum letters of a row's label on an axis."""

Style = tuple[str, str]
"""Colour and marker."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which most colour-blind readers can tell apart; without the yellow,
which is too light for a line."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A colour and a marker per row, the same in every figure as far as possible.

    A label's place follows from its hash; where two labels meet, or a colour is used more often
    than another, the later in the alphabet moves on. Beyond as many rows as there are styles,
    styles are used again.
    """
    count = len(PALETTE) * len(MARKERS)
    taken: dict[int, str] = {}
    found: dict[str, Style] = {}
    for label in sorted(set(labels)):
        if len(taken) == count:
            taken.clear()
        place = int.from_bytes(hashlib.sha256(label.encode()).digest()[:4], "big") % count
        # Colours are told apart sooner than markers: every colour is used as often.
        used = Counter(p % len(PALETTE) for p in taken)
        least = min(used[colour] for colour in range(len(PALETTE)))
        for step in range(count):
            candidate = (place + step) % count
            if candidate not in taken and used[candidate % len(PALETTE)] == least:
                taken[candidate] = label
                place = candidate
                break
        found[label] = PALETTE[place % len(PALETTE)], MARKERS[place // len(PALETTE) % len(MARKERS)]
    return found


def title(board: Board, shown: str) -> str:
    """A figure's heading: the track, whether budgets are reduced, and what is shown."""
    budget = ", reduced budgets" if board.track.reduced else ""
    return f"Track {board.track.name}{budget}:\n{shown}"


def covered(board: Board) -> str:
    """The datasets that an aggregate covers, in a few words."""
    return board.common[0] if len(board.common) == 1 else f"{len(board.common)} datasets"


def legend(figure: Any, panel: Any, labels: list[str]) -> None:
    """A legend at the right, in the order of the labels."""
    handles, names = panel.get_legend_handles_labels()
    figure.legend(
        [handles[names.index(label)] for label in labels],
        labels,
        loc="outside right center",
        frameon=False,
        fontsize="small",
    )


def inches(labels: Iterable[str], covered: float) -> float:
    """Inches that the longest label needs in addition to those already `covered`."""
    return max(0.0, LETTER * max(map(len, labels), default=0) - covered)


def bare(panel: Any) -> None:
    """Removes the upper and the right border."""
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
