"""Learning curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.plots.styles import bare, styles, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(board: Board) -> Figure:
    """Score against training steps, one panel a dataset: the mean over seeds with a band
    of one standard deviation.

    Raises:
        ZooError: nothing is finished.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.lines import Line2D

    curves = board.curves()
    if curves.empty:
        raise ZooError(f"nothing to plot: no run of track '{board.track.name}' is finished")
    datasets = [d for d in board.datasets if d in set(curves["dataset"])]
    labels = [row.label for row in board.rows if row.label in set(curves["row"])]
    style = styles(labels)
    columns = min(3, len(datasets))
    lines = math.ceil(len(datasets) / columns)
    # One panel alone would be narrower than its title and legend.
    width = max(4.2 * columns, 8.0)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(width, 3.1 * lines + 0.9),
        squeeze=False,
        layout="constrained",
    )
    panels = list(grid.flat)
    for panel, dataset in zip(panels, datasets, strict=False):
        chosen = curves[curves["dataset"] == dataset]
        sns.lineplot(
            chosen,
            x="step",
            y="score",
            hue="row",
            style="row",
            hue_order=labels,
            style_order=labels,
            palette={label: colour for label, (colour, _) in style.items()},
            markers={label: marker for label, (_, marker) in style.items()},
            dashes=False,
            markersize=5,
            errorbar="sd",
            err_kws={"alpha": 0.15, "linewidth": 0},
            legend=False,
            ax=panel,
        )
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
        loc="outside lower center",
        ncols=min(len(labels), int(width / 1.6)),
        frameon=False,
    )
    shown = "mean and standard deviation over seeds; dashed: the reference maximum"
    figure.suptitle(title(board, shown), fontsize="medium")
    return figure


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
