"""Probabilities of improvement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.styles import LONGEST, covered, inches, title
from zoo_leaderboard.report.tables.labels import short_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WRITTEN = 20
"""Rows up to which the numbers are written into the cells."""


def improvement_matrix(board: Board) -> Figure:
    """How probable it is that a run of the row beats a run of the column, over the common
    datasets. A dot marks the pairs whose means can be told apart.

    Raises:
        ZooError: there are no two rows to compare.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    labels = [row.label for row in board.rows if row.label in board.aggregates]
    if len(labels) < 2:
        raise ZooError(f"track '{board.track.name}' has no two rows to compare")
    values = np.full((len(labels), len(labels)), np.nan)
    texts = np.full(values.shape, "", dtype=object)
    for i, x in enumerate(labels):
        for j, y in enumerate(labels):
            if i != j:
                values[i, j] = board.improvement(x, y).value
                texts[i, j] = f"{values[i, j]:.2f}" + ("•" if board.told_apart(x, y) else "")
    names = short_labels([board.row(label) for label in labels], LONGEST)
    side = 0.5 * len(labels) + inches(names, 1.2)
    figure, panel = plt.subplots(figsize=(side + 3.4, side + 2.4), layout="constrained")
    sns.heatmap(
        values,
        vmin=0.0,
        vmax=1.0,
        cmap="PuOr_r",
        annot=texts if len(labels) <= WRITTEN else False,
        fmt="",
        annot_kws={"fontsize": 7},
        linewidths=0.5,
        square=True,
        xticklabels=names,
        yticklabels=names,
        cbar_kws={"label": "P(row > column)", "shrink": 0.7},
        ax=panel,
    )
    panel.set_facecolor("0.93")
    panel.tick_params(axis="x", rotation=90)
    panel.tick_params(axis="y", rotation=0)
    shown = f"P(row > column) over {covered(board)}; •: means told apart (Welch, 5 %)"
    figure.suptitle(title(board, shown), fontsize="medium")
    return figure
