"""Score against what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.styles import bare, covered, legend, styles, title
from zoo_leaderboard.stats import mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def score_against_time(board: Board) -> Figure:
    """Each row's mean score over the common datasets against the wall time of a run.

    Raises:
        ZooError: there is no dataset that every row has finished, or no times.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

    if not has_times(board):
        raise ZooError(
            f"track '{board.track.name}' has no dataset that every row has finished, or its "
            "records have no times"
        )
    labels = [row.label for row in board.rows if row.label in board.aggregates]
    seconds = {label: _seconds(board, label) for label in labels}
    figure, panel = plt.subplots(figsize=(8.0, 4.8), layout="constrained")
    for label, (colour, marker) in styles(labels).items():
        found = board.aggregates[label].mean
        known = [[found.value - found.low], [found.high - found.value]] if found.known else None
        panel.errorbar(
            seconds[label],
            found.value,
            yerr=known,
            color=colour,
            marker=marker,
            markersize=6,
            linestyle="none",
            elinewidth=1.0,
            label=label,
        )
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(ScalarFormatter())
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("wall time of a run, seconds")
    panel.set_ylabel("mean normalised score")
    bare(panel)
    legend(figure, panel, labels)
    shown = f"over {covered(board)}; bars: 95 % bootstrap intervals over seeds"
    figure.suptitle(title(board, shown), fontsize="medium")
    return figure


def has_times(board: Board) -> bool:
    """Whether there are aggregates, and wall times of every row in them."""
    return bool(board.aggregates) and all(_seconds(board, x) > 0 for x in board.aggregates)


def _seconds(board: Board, label: str) -> float:
    """The mean over the common datasets of the mean wall time of a run."""
    entries = [board.row(label).entry(dataset) for dataset in board.common]
    return mean([entry.mean_of(lambda run: run.wall_seconds) or 0.0 for entry in entries])
