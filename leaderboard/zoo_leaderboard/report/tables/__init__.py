"""The board as text: Markdown, CSV, LaTeX and JSON. Everything shown is escaped for its format."""

from __future__ import annotations

from collections.abc import Callable

from zoo_core.errors import UnknownName
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.tables.data import as_csv, as_json
from zoo_leaderboard.report.tables.latex import latex
from zoo_leaderboard.report.tables.markdown import markdown

FORMATS: dict[str, Callable[[Board], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "latex": latex,
    "json": as_json,
}
"""How a board can be written."""

__all__ = ["FORMATS", "render"]


def render(board: Board, format: str) -> str:
    """The board in one of `FORMATS`.

    Raises:
        UnknownName: no such format.
    """
    if format not in FORMATS:
        raise UnknownName("table format", format, FORMATS)
    return FORMATS[format](board)
