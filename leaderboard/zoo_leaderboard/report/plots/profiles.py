"""Performance profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.styles import bare, covered, legend, styles, title
from zoo_leaderboard.stats import performance_profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = 201
"""Scores at which the profiles are taken."""


def performance_profiles(board: Board) -> Figure:
    """The share of each row's runs that is above a score, over the common datasets, with pointwise
    95 % bands (Agarwal et al. 2021, figure 7).

    Raises:
        ZooError: there is no dataset that every row has finished.
    """
    import matplotlib.pyplot as plt

    if not board.aggregates:
        raise ZooError(f"track '{board.track.name}' has no dataset that every row has finished")
    labels = [row.label for row in board.rows if row.label in board.aggregates]
    scores = {
        label: [board.row(label).entry(dataset).scores for dataset in board.common]
        for label in labels
    }
    flat = np.concatenate([run for of_row in scores.values() for run in of_row])
    levels = np.linspace(min(0.0, float(flat.min())) - 1.0, float(flat.max()) + 1.0, LEVELS)
    figure, panel = plt.subplots(figsize=(8.0, 4.6), layout="constrained")
    for label, (colour, marker) in styles(labels).items():
        found = performance_profile(scores[label], levels)
        panel.plot(
            levels,
            found.value,
            color=colour,
            marker=marker,
            markersize=4,
            markevery=25,
            label=label,
        )
        panel.fill_between(levels, found.low, found.high, color=colour, alpha=0.12, linewidth=0)
    panel.set_xlabel("normalised score")
    panel.set_ylabel("share of runs above it")
    panel.set_ylim(-0.02, 1.02)
    bare(panel)
    legend(figure, panel, labels)
    figure.suptitle(title(board, f"performance profiles over {covered(board)}"), fontsize="medium")
    return figure
