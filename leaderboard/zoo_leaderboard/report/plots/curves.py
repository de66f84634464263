"""Learning curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.styles import LETTER, Style, bare, styles, title

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def learning_curves(board: Board) -> Figure:
    """Score against training steps, one panel a dataset: the mean over seeds with a band
    of one standard deviation.

    Raises:
        ZooError: nothing is finished.
    """
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    curves = board.curves()
    if curves.empty:
        raise ZooError(f"nothing to plot: no run of track '{board.track.name}' is finished")
    # Once for all panels: seaborn's own averages take minutes on a hundred thousand runs.
    seeds = curves.groupby(["dataset", "row", "step"])["score"].agg(["mean", "std"]).reset_index()
    drawn = {dataset: dict(list(own.groupby("row"))) for dataset, own in seeds.groupby("dataset")}
    datasets = [d for d in board.datasets if d in drawn]
    shown = {label for own in drawn.values() for label in own}
    labels = [row.label for row in board.rows if row.label in shown]
    style = styles(labels)
    columns = min(3, len(datasets))
    lines = math.ceil(len(datasets) / columns)
    # One panel alone has its legend beside it, several have it below.
    alone = len(datasets) == 1
    size = (9.0, 5.2) if alone else (4.2 * columns, 3.1 * lines + 0.9)
    figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    panels = list(grid.flat)
    for panel, dataset in zip(panels, datasets, strict=False):
        for label in labels:
            if label in drawn[dataset]:
                _draw(panel, drawn[dataset][label], style[label])
        _dress(panel, dataset, board.references.get(dataset) is not None)
    for panel in panels[len(datasets) :]:
        panel.set_visible(False)
    for line in range(lines):
        grid[line][0].set_ylabel(grid[line][0].get_ylabel() or "score")
    handles = [
        Line2D([], [], color=style[label][0], marker=style[label][1], markersize=5, label=label)
        for label in labels
    ]
    figure.legend(
        handles=handles,
        loc="outside right center" if alone else "outside lower center",
        ncols=1 if alone else _legend_columns(labels, size[0]),
        frameon=False,
    )
    meaning = "mean and standard deviation over seeds; dashed: the reference maximum"
    figure.suptitle(title(board, meaning), fontsize="medium")
    return figure


def _legend_columns(labels: list[str], width: float) -> int:
    """As many as fit into so many inches, by the longest label."""
    column = 0.6 + LETTER * max(len(label) for label in labels)
    return max(1, min(len(labels), int(width / column)))


def _draw(panel: Any, seeds: pd.DataFrame, style: Style) -> None:
    """A row's mean with its band, by step; no band where a step has one seed."""
    colour, marker = style
    (line,) = panel.plot(
        seeds["step"],
        seeds["mean"],
        color=colour,
        marker=marker,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.7,
    )
    band = panel.fill_between(
        seeds["step"],
        seeds["mean"] - seeds["std"],
        seeds["mean"] + seeds["std"],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
    # What is inside a panel decides nothing of the layout, and measuring it takes long.
    for drawn in (line, band):
        drawn.set_in_layout(False)


def _dress(panel: Any, dataset: str, normalised: bool) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    panel.set_title(dataset, fontsize="medium")
    panel.set_xlabel("training steps")
    panel.set_ylabel("normalised score" if normalised else "return")
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.margins(x=0.03)
    if normalised:
        panel.axhline(100.0, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    bare(panel)
