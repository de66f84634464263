"""The board for GitHub's Markdown."""

from __future__ import annotations

from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.markup import grid, lines_of
from zoo_leaderboard.report.tables.sections import sections


def markdown(board: Board) -> str:
    """GitHub's Markdown, columns aligned so that the source reads well too."""
    shown = sections(board)
    blocks = [lines_of(shown.heading, "> ")]
    for title, cells in shown.tables:
        left = {i for i, cell in enumerate(cells[0]) if cell.text == "algorithm"} or {0}
        blocks += [title, grid(cells, left)] if title else [grid(cells, left)]
    if shown.below:
        blocks.append(lines_of(shown.below))
    return "\n\n".join(blocks) + "\n"
