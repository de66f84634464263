"""The data behind a track's table and figures, as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.encoding import csv_cell
from zoo_leaderboard.report.page.names import slug

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Download:
    """A file to download."""

    path: str
    """From the site's root."""
    meaning: str
    make: Callable[[], str]

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


def downloads_of(board: Board, *, compared: bool) -> list[Download]:
    """Every table of a track, in the formats that there are.

    Args:
        board: Of the track.
        compared: Whether any score has a published one beside it.
    """
    folder = f"tracks/{slug(board.track.name)}/data"

    def file(name: str, meaning: str, make: Callable[[], str]) -> Download:
        return Download(f"{folder}/{name}", meaning, make)

    found = [
        file("table.csv", "one line a cell, then one a row", lambda: board.table("csv")),
        file("table.json", "every number behind the table", lambda: board.table("json")),
        file("table.md", "the table as Markdown", lambda: board.table("markdown")),
        file("table.tex", "the table as LaTeX", lambda: board.table("latex")),
        file("runs.csv", "one line a run", lambda: _csv(board.scores())),
        file("curves.csv", "one line an evaluation", lambda: _csv(board.curves())),
    ]
    if compared:
        found += [
            file("published.csv", "beside published scores", lambda: board.published("csv")),
            file("published.json", "the same as JSON", lambda: board.published("json")),
        ]
    return found


def _csv(frame: pd.DataFrame) -> str:
    texts = frame.select_dtypes(exclude="number")
    safe = frame.assign(**{name: texts[name].map(csv_cell) for name in texts})
    return str(safe.to_csv(index=False, lineterminator="\n"))
