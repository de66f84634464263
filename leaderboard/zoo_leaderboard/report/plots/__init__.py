"""Figures of a board, drawn by seaborn without a display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo_core.errors import UnknownName, ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.cost import score_against_time
from zoo_leaderboard.report.plots.curves import learning_curves
from zoo_leaderboard.report.plots.heatmap import score_heatmap
from zoo_leaderboard.report.plots.improvement import improvement_matrix
from zoo_leaderboard.report.plots.intervals import aggregate_intervals
from zoo_leaderboard.report.plots.profiles import performance_profiles
from zoo_leaderboard.report.plots.styles import MARKERS, PALETTE, styles

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Kind(NamedTuple):
    """A figure that can be drawn of any board."""

    title: str
    """What it shows, in one line."""
    figure: Callable[[Board], Figure]
    """Draws it; raises ZooError where the board lacks what it needs."""


KINDS = {
    "curves": Kind("learning curves by dataset", learning_curves),
    "intervals": Kind("aggregates with their intervals", aggregate_intervals),
    "profiles": Kind("performance profiles", performance_profiles),
    "improvement": Kind("probability of improvement", improvement_matrix),
    "cost": Kind("score against wall time", score_against_time),
    "heatmap": Kind("scores by algorithm and dataset", score_heatmap),
}

__all__ = ["KINDS", "MARKERS", "PALETTE", "Kind", "draw", "styles"]


def draw(board: Board, path: Path, kind: str = "curves") -> Path:
    """Writes one of `KINDS` to a file, whose ending chooses the format.

    Raises:
        UnknownName: no such kind.
        ZooError: the board lacks what the figure needs, or the file cannot be written.
    """
    if kind not in KINDS:
        raise UnknownName("figure", kind, KINDS)
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    with sns.axes_style("whitegrid", {"grid.color": "0.9"}), sns.plotting_context("paper", 1.1):
        figure = KINDS[kind].figure(board)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without the time in it, an unchanged board gives an unchanged file.
        dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        figure.savefig(path, dpi=160, metadata=dated.get(path.suffix.lstrip(".")))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ZooError(f"cannot write the figure {path}: {reason}") from None
    finally:
        plt.close(figure)
    return path
