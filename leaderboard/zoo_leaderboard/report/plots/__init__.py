"""Figures of a board, drawn by seaborn without a display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo_core.errors import UnknownName
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.cost import has_times, score_against_time
from zoo_leaderboard.report.plots.curves import learning_curves
from zoo_leaderboard.report.plots.heatmap import score_heatmap
from zoo_leaderboard.report.plots.improvement import improvement_matrix
from zoo_leaderboard.report.plots.intervals import aggregate_intervals
from zoo_leaderboard.report.plots.profiles import performance_profiles
from zoo_leaderboard.report.plots.saving import save
from zoo_leaderboard.report.plots.styles import MARKERS, PALETTE, styles

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Kind(NamedTuple):
    """A figure that can be drawn of any board."""

    title: str
    caption: str
    """What it shows, in a sentence or two."""
    figure: Callable[[Board], Figure]
    """Draws it; raises ZooError where the board lacks what it needs."""
    fits: Callable[[Board], bool]
    """Whether the board has what it needs."""


def _has_aggregates(board: Board) -> bool:
    return bool(board.aggregates)


KINDS = {
    "curves": Kind(
        "Learning curves",
        "Score against training steps: the mean over seeds, with a band of one standard deviation. "
        "Dashed: the reference maximum.",
        learning_curves,
        lambda board: bool(board.runs),
    ),
    "intervals": Kind(
        "Aggregates",
        "Interquartile mean, median, mean, optimality gap and average rank over the common "
        "datasets, with 95 % stratified bootstrap intervals.",
        aggregate_intervals,
        _has_aggregates,
    ),
    "profiles": Kind(
        "Performance profiles",
        "The share of runs above a score, over the common datasets, with pointwise 95 % bands.",
        performance_profiles,
        _has_aggregates,
    ),
    "improvement": Kind(
        "Probability of improvement",
        "How probable it is that a run of the row beats a run of the column. A dot marks the pairs "
        "whose means can be told apart.",
        improvement_matrix,
        lambda board: len(board.aggregates) > 1,
    ),
    "cost": Kind(
        "Score against wall time",
        "The mean score over the common datasets against the wall time of a run.",
        score_against_time,
        has_times,
    ),
    "heatmap": Kind(
        "Scores by dataset",
        "The mean score of every algorithm on every dataset; grey where it has no finished run.",
        score_heatmap,
        lambda board: any(board.references.get(run.place.dataset) for run in board.runs),
    ),
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
    import seaborn as sns

    with (
        sns.axes_style("whitegrid", {"grid.color": "0.9"}),
        sns.plotting_context("paper", 1.1),
        # Names are text: a dollar sign in one begins no formula.
        matplotlib.rc_context({"text.parse_math": False}),
    ):
        figure = KINDS[kind].figure(board)
    return save(figure, path)
