"""Figures of a board, drawn by seaborn without a display."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo_core.errors import ZooError
from zoo_leaderboard.board.board import Board

Style = tuple[str, str]
"""Colour and marker."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which most colour-blind readers can tell apart; without the yellow,
which is too light for a line."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A colour and a marker per row, the same in every figure as far as possible.

    A label's place follows from its hash; where two labels meet, the later in the alphabet moves
    on, so that a row keeps its style whatever else is drawn unless it meets another.
    """
    count = len(PALETTE) * len(MARKERS)
    taken: dict[int, str] = {}
    for label in sorted(set(labels)):
        place = int.from_bytes(hashlib.sha256(label.encode()).digest()[:4], "big") % count
        # Colours are told apart sooner than markers: a free colour comes first.
        used = {p % len(PALETTE) for p in taken}
        for step in range(count):
            candidate = (place + step) % count
            free = candidate % len(PALETTE) not in used or len(used) == len(PALETTE)
            if candidate not in taken and free:
                taken[candidate] = label
                break
    return {
        label: (PALETTE[place % len(PALETTE)], MARKERS[place // len(PALETTE) % len(MARKERS)])
        for place, label in taken.items()
    }


def learning_curves(board: Board, path: Path) -> Path:
    """Writes score against training steps, one panel a dataset: the mean over seeds with a band
    of one standard deviation.

    Raises:
        ZooError: nothing is finished, or the file cannot be written.
    """
    import matplotlib

    matplotlib.use("agg")
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
    sns.set_theme(context="paper", style="whitegrid", font_scale=1.1, rc={"grid.color": "0.9"})
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
    figure.suptitle(_title(board), fontsize="medium")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160, metadata={} if path.suffix == ".png" else None)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ZooError(f"cannot write the figure {path}: {reason}") from None
    finally:
        plt.close(figure)
    return path


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
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _title(board: Board) -> str:
    budget = ", reduced budgets" if board.track.reduced else ""
    shown = "mean and standard deviation over seeds; dashed: the reference maximum"
    return f"Track {board.track.name}{budget}:\n{shown}"
