"""The figures of a track, and which data each is drawn from."""

from __future__ import annotations

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
    if not board.runs:
        return []
    return [
        Figure(
            path=f"{folder}/curves.png",
            title="Learning curves",
            caption="Score against training steps: the mean over seeds, with a band of one "
            "standard deviation. Dashed: the reference maximum.",
            alt=f"One panel for each of {len(board.datasets)} datasets with a curve for each "
            "algorithm; the numbers are in curves.csv.",
            data="curves.csv",
            draw=lambda path: plots.learning_curves(board, path),
        )
    ]
