"""Scores by algorithm and dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.styles import LONGEST, inches, title
from zoo_leaderboard.report.tables.labels import short_labels
from zoo_leaderboard.stats import mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WRITTEN = 400
"""Cells up to which the scores are written into them."""


def score_heatmap(board: Board) -> Figure:
    """Every row's mean score on every dataset with reference scores; empty where it has none.

    Raises:
        ZooError: nothing with reference scores is finished.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    datasets = [d for d in board.datasets if board.references.get(d) is not None]
    rows = [row for row in board.rows if any(row.entry(d).finished for d in datasets)]
    if not rows:
        raise ZooError(f"track '{board.track.name}' has no finished run with reference scores")
    values = np.array(
        [
            [mean(scores) if (scores := row.entry(d).scores) else np.nan for d in datasets]
            for row in rows
        ]
    )
    labels = short_labels(rows, LONGEST)
    width = 0.9 * len(datasets) + 4.0 + inches(labels, 2.0)
    size = (width, 0.32 * len(rows) + 3.0 + inches(datasets, 2.0))
    figure, panel = plt.subplots(figsize=size, layout="constrained")
    sns.heatmap(
        values,
        vmin=0.0,
        vmax=100.0,
        cmap="viridis",
        annot=values.size <= WRITTEN,
        fmt=".0f",
        annot_kws={"fontsize": 8},
        linewidths=0.5,
        xticklabels=datasets,
        yticklabels=labels,
        cbar_kws={"label": "mean normalised score"},
        ax=panel,
    )
    panel.set_facecolor("0.93")
    panel.tick_params(axis="x", rotation=35)
    panel.tick_params(axis="y", rotation=0)
    for text in panel.get_xticklabels():
        text.set_horizontalalignment("right")
    figure.suptitle(title(board, "mean over seeds; grey: no finished run"), fontsize="medium")
    return figure
