"""The figures of a track, and which data each is drawn from."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report import plots
from zoo_leaderboard.report.page.names import slug


@dataclass(frozen=True)
class Figure:
    """A picture of the figures' page."""

    path: str
    """From the site's root."""
    title: str
    caption: str
    alt: str
    data: str
    """The name of the download that holds its numbers."""
    draw: Callable[[Path], Path]

    def make(self) -> bytes:
        """The picture's file."""
        with tempfile.TemporaryDirectory() as folder:
            return self.draw(Path(folder) / Path(self.path).name).read_bytes()


def figures_of(board: Board) -> list[Figure]:
    """Those that the board has data for."""
    folder = f"tracks/{slug(board.track.name)}/figures"
    return [
        Figure(
            path=f"{folder}/{kind}.png",
            title=shown.title,
            caption=shown.caption,
            alt=f"{shown.title}: {shown.caption} The numbers are in {_DATA[kind]}.",
            data=_DATA[kind],
            draw=functools.partial(plots.draw, board, kind=kind),
        )
        for kind, shown in plots.KINDS.items()
        if shown.fits(board)
    ]


_DATA = {
    "curves": "curves.csv",
    "intervals": "table.csv",
    "profiles": "runs.csv",
    "improvement": "table.json",
    "cost": "runs.csv",
    "heatmap": "table.csv",
}
"""The download that holds a figure's numbers."""
