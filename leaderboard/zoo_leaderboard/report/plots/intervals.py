"""Aggregates with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.styles import bare, covered, styles, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "iqm": "IQM",
    "median": "median",
    "mean": "mean",
    "optimality_gap": "optimality gap",
    "rank": "average rank",
}
"""In the order of Agarwal et al. 2021, figure 9, and the rank."""


def aggregate_intervals(board: Board) -> Figure:
    """IQM, median, mean, optimality gap and average rank of every row over the common datasets,
    with 95 % stratified bootstrap intervals.

    Raises:
        ZooError: there is no dataset that every row has finished.
    """
    import matplotlib.pyplot as plt

    if not board.aggregates:
        raise ZooError(f"track '{board.track.name}' has no dataset that every row has finished")
    labels = [row.label for row in board.rows if row.label in board.aggregates]
    style = styles(labels)
    figure, panels = plt.subplots(
        1,
        len(PANELS),
        figsize=(11.0, 0.26 * len(labels) + 1.7),
        sharey=True,
        layout="constrained",
    )
    for panel, (name, heading) in zip(panels, PANELS.items(), strict=True):
        for place, label in enumerate(labels):
            found = getattr(board.aggregates[label], name)
            colour, _ = style[label]
            if found.known:
                panel.barh(
                    place,
                    found.high - found.low,
                    left=found.low,
                    height=0.6,
                    color=colour,
                    alpha=0.4,
                )
            panel.plot([found.value] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2.0)
        panel.set_title(heading, fontsize="medium")
        panel.grid(visible=False, axis="y")
        panel.margins(y=0.02)
        bare(panel)
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    shown = f"over {covered(board)}, with 95 % bootstrap intervals over seeds"
    figure.suptitle(title(board, shown), fontsize="medium")
    return figure
