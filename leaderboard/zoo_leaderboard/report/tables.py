"""The board as text: Markdown, CSV, LaTeX and JSON. Everything shown is escaped for its format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from zoo_core.errors import UnknownName
from zoo_leaderboard.board.board import Board, Entry, Row, best, final, last_mean
from zoo_leaderboard.report.markup import Notes, grid, lines_of, short, spread, thousands
from zoo_leaderboard.stats import Interval, mean, standard_deviation

AGGREGATES = ("mean", "IQM [95 %]", "mean of last 3", "best over time")
STALE = "†"


def render(board: Board, format: str) -> str:
    """The board in one of `FORMATS`.

    Raises:
        UnknownName: no such format.
    """
    if format not in FORMATS:
        raise UnknownName("table format", format, FORMATS)
    return FORMATS[format](board)


def score_text(entry: Entry) -> str:
    """The score over the finished seeds, of which there is at least one, with their number."""
    n, expected = len(entry.finished), entry.expected
    count = f"({n})" if n == expected else f"({n} of {expected})"
    return f"{spread(entry.values())} {count}"


def cell_text(entry: Entry, notes: Notes) -> str:
    """A cell: the score over seeds with their number, and a mark for whatever is not well."""
    texts: list[str] = []
    if entry.finished:
        texts.append(score_text(entry))
    elif entry.stale:
        scores = [r.score for r, _ in entry.stale.values() if r.score is not None]
        texts.append(f"{spread(scores)} ({len(scores)}){STALE}")
    for reason in dict.fromkeys(entry.failed.values()):
        texts.append(f"failed {notes.mark(reason)}")
    for reason in dict.fromkeys(entry.damaged.values()):
        texts.append(f"damaged {notes.mark(reason)}")
    for why in dict.fromkeys(why for _, why in entry.stale.values()):
        texts.append(f"stale {notes.mark('stale: ' + why)}")
    if not texts:
        return "missing"
    if entry.missing and not entry.finished:
        texts.append("missing")
    return ", ".join(texts)


def aggregate_texts(board: Board, row: Row) -> list[str]:
    """The aggregate columns of a row."""
    found = board.aggregates.get(row.label)
    if found is None:
        return ["-"] * len(AGGREGATES)
    interval = f"{short(found.iqm.value)} [{short(found.iqm.low)}, {short(found.iqm.high)}]"
    return [short(found.mean), interval, short(found.last), short(found.best)]


def steps_text(steps: tuple[int, int] | None, board: Board) -> str:
    """A budget from the least to the most steps, and whether it is a reduced one."""
    if steps is None:
        return "-"
    low, high = map(thousands, steps)
    text = low if low == high else f"{low} to {high}"
    return f"{text}, reduced" if board.track.reduced else text


def row_text(row: Row) -> str:
    """A row's label; learners outside the core are marked."""
    return f"{row.label} [external]" if row.external else row.label


def heading_lines(board: Board) -> list[str]:
    """What must be known to read the table."""
    protocol = board.protocol
    lines = [f"Track {board.track.name}: {board.track.summary}", *board.track.notes]
    lines.append(
        f"Score: the last checkpoint's mean return over {protocol.episodes} episodes, "
        "normalised to 0 (reference minimum) to 100 (reference maximum); "
        "mean ± sample standard deviation over seeds (number of seeds)."
    )
    if board.common:
        lines.append(
            "Aggregates cover the datasets that every row with a result has finished: "
            f"{', '.join(board.common)}. IQM: interquartile mean over runs, with a 95 % stratified "
            "bootstrap interval. Mean of last 3 evaluations and best over time (an oracle's choice "
            "of checkpoint) are shown for comparison and rank nothing."
        )
    else:
        lines.append("No aggregates: there is no dataset that every row has finished.")
    for dataset in board.datasets:
        reference = board.references.get(dataset)
        if reference is not None:
            lines.append(
                f"Reference of {dataset}: {reference.min:g} to {reference.max:g} "
                f"({reference.source})."
            )
        elif dataset in board.references:
            lines.append(f"{dataset} has no reference scores: raw returns, in no aggregate.")
    if any("mujoco/" in dataset for dataset in board.datasets):
        lines.append(
            "mujoco/* are Minari's data on Gymnasium v5 environments: scores are not comparable "
            "to published ones on D4RL's gym-v2 datasets."
        )
    unused = [d for d in board.track.dataset_ids() if d not in board.datasets]
    if unused:
        more = f" and {len(unused) - 6} more" if len(unused) > 6 else ""
        lines.append(f"Not run of this track: {', '.join(unused[:6])}{more}.")
    return lines


def _held_out_lines(board: Board) -> list[str]:
    """Where an update reports the metric `held_out`, its last losses on data learnt and not."""
    lines: list[str] = []
    for row in board.rows:
        for dataset in board.datasets:
            for metrics in _metrics(row.entry(dataset)).values():
                for name in (name for name in metrics if name.endswith("/held_out")):
                    update = name.removesuffix("held_out")
                    means = {
                        own: mean([value for value in values if value is not None])
                        for own, values in metrics.items()
                        if own.startswith(update)
                    }
                    texts = ", ".join(f"{own} {value:.4g}" for own, value in means.items())
                    lines.append(f"Held-out error of {row.label} on {dataset}: {texts}.")
    return lines


def _footers(board: Board, notes: Notes) -> list[str]:
    shown = set(notes.texts)
    lines = [*notes.lines(), *_held_out_lines(board)]
    if any(entry.stale for row in board.rows for entry in row.entries.values()):
        lines.append(f"{STALE} made by code, data or settings that have changed since; not ranked.")
    lines += [str(d) for d in board.damaged if str(d) not in shown]
    return lines


def _cells(board: Board, notes: Notes) -> list[list[str]]:
    header = ["algorithm", "steps", *board.datasets, *AGGREGATES]
    lines = [
        [
            row_text(row),
            steps_text(row.steps, board),
            *(cell_text(row.entry(dataset), notes) for dataset in board.datasets),
            *aggregate_texts(board, row),
        ]
        for row in board.rows
    ]
    return [header, *lines]


def _improvement_cells(board: Board) -> list[list[str]]:
    labels = [row.label for row in board.rows if row.label in board.aggregates]
    if len(labels) < 2:
        return []

    def text(x: str, y: str) -> str:
        if x == y:
            return "-"
        found = board.improvements[x, y]
        return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"

    return [["P(row > column)", *labels], *([x, *(text(x, y) for y in labels)] for x in labels)]


def markdown(board: Board) -> str:
    """GitHub's Markdown, columns aligned so that the source reads well too."""
    notes = Notes()
    blocks = [lines_of(heading_lines(board), "> "), grid(_cells(board, notes))]
    improvement = _improvement_cells(board)
    if improvement:
        blocks.append(
            "Probability that a run of the row beats a run of the column, over the datasets of "
            "the aggregates, with 95 % intervals:"
        )
        blocks.append(grid(improvement))
    footers = _footers(board, notes)
    if footers:
        blocks.append(lines_of(footers))
    return "\n\n".join(blocks) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "[": "{[}",
    "]": "{]}",
}


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def latex(board: Board) -> str:
    """A `table*` with booktabs rules; needs `\\usepackage{booktabs}`."""
    notes = Notes()
    header, *lines = _cells(board, notes)
    columns = "ll" + "r" * (len(header) - 2)
    body = [" & ".join(map(_tex, line)) + r" \\" for line in lines]
    small = [*heading_lines(board), *_footers(board, notes)]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table*}",
            r"\centering",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(_tex, header)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\medskip",
            r"\begin{minipage}{\linewidth}\footnotesize",
            *(_tex(line) + r"\par" for line in small),
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def _metrics(entry: Entry) -> dict[str, dict[str, list[float | None]]]:
    """The training's last metrics by stage and name: a value per finished seed, none where its
    record lacks the metric."""
    seeds = sorted(entry.finished)
    found: dict[str, dict[str, list[float | None]]] = {}
    for position, seed in enumerate(seeds):
        for last in entry.finished[seed].last_metrics:
            for name, value in last.metrics.items():
                values = found.setdefault(last.stage, {}).setdefault(name, [None] * len(seeds))
                values[position] = value
    return found


def _numbers(row: Row, dataset: str, board: Board) -> dict[str, Any]:
    entry, reference = row.entry(dataset), board.references.get(dataset)
    values = entry.values()
    return {
        "dataset": dataset,
        "seeds": sorted(entry.finished),
        "expected_seeds": entry.expected,
        "scores": values,
        "score_mean": mean(values) if values else None,
        "score_std": standard_deviation(values) if len(values) > 1 else None,
        "mean_of_last_3": mean(entry.values(last_mean)) if values else None,
        "best_over_time": mean(entry.values(best)) if values else None,
        "return_mean": mean(entry.values(final)) if values else None,
        "metrics": _metrics(entry),
        "failed": {str(seed): reason for seed, reason in sorted(entry.failed.items())},
        "stale": {
            str(seed): {"score": result.score, "changed": why}
            for seed, (result, why) in sorted(entry.stale.items())
        },
        "damaged": {str(seed): reason for seed, reason in sorted(entry.damaged.items())},
        "missing": sorted(entry.missing),
        "reference": reference.model_dump() if reference else None,
    }


def as_json(board: Board) -> str:
    """Every number behind the table."""
    rows = []
    for row in board.rows:
        found = board.aggregates.get(row.label)
        rows.append(
            {
                "row": row.label,
                "algorithm": row.algorithm,
                "variant": row.variant,
                "settings": row.settings,
                "external": row.external,
                "steps": row.steps,
                "cells": [_numbers(row, dataset, board) for dataset in board.datasets],
                "aggregate": found
                and {
                    "mean": found.mean,
                    "iqm": found.iqm._asdict(),
                    "mean_of_last_3": found.last,
                    "best_over_time": found.best,
                },
                "improves_on": {
                    y: interval._asdict()
                    for (x, y), interval in board.improvements.items()
                    if x == row.label
                },
            }
        )
    content = {
        "track": board.track.name,
        "reduced": board.track.reduced,
        "notes": heading_lines(board),
        "protocol": board.protocol.model_dump(),
        "datasets": board.datasets,
        "aggregated_datasets": board.common,
        "rows": rows,
        "damaged": [str(problem) for problem in board.damaged],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(board: Board) -> str:
    """One line a cell with full precision, then one line a row over the common datasets."""
    columns = (
        *("row", "algorithm", "variant", "dataset", "state", "seeds", "expected_seeds"),
        *("score_mean", "score_std", "mean_of_last_3", "best_over_time", "return_mean"),
        *("iqm", "iqm_low", "iqm_high", "reference_min", "reference_max", "reference_source"),
        *("steps", "reduced", "external", "reason"),
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in board.rows:
        common: dict[str, Any] = {
            "row": row.label,
            "algorithm": row.algorithm,
            "variant": row.variant,
            "reduced": board.track.reduced,
            "external": row.external,
        }
        for dataset in board.datasets:
            writer.writerow({**common, **_csv_cell(row, dataset, board)})
        found = board.aggregates.get(row.label)
        if found is not None:
            writer.writerow(
                {
                    **common,
                    "dataset": "aggregate",
                    "state": "finished",
                    "score_mean": found.mean,
                    "mean_of_last_3": found.last,
                    "best_over_time": found.best,
                    **_iqm(found.iqm),
                    "reason": f"over {', '.join(board.common)}",
                }
            )
    return text.getvalue()


def _iqm(interval: Interval) -> dict[str, float]:
    return {"iqm": interval.value, "iqm_low": interval.low, "iqm_high": interval.high}


def _csv_cell(row: Row, dataset: str, board: Board) -> dict[str, Any]:
    entry, numbers = row.entry(dataset), _numbers(row, dataset, board)
    states = {
        "failed": entry.failed,
        "damaged": entry.damaged,
        "stale": entry.stale,
        "missing": entry.missing,
    }
    present = [name for name, seeds in states.items() if seeds]
    reasons = [*entry.failed.values(), *entry.damaged.values()]
    reasons += [f"stale: {why}" for _, why in entry.stale.values()]
    steps = sorted({result.total_steps for result in entry.finished.values()})
    reference = numbers["reference"] or {}
    return {
        "dataset": dataset,
        "state": "finished" if entry.complete else "+".join(present) or "missing",
        "seeds": len(entry.finished),
        **{
            name: numbers[name]
            for name in (
                "expected_seeds",
                "score_mean",
                "score_std",
                "mean_of_last_3",
                "best_over_time",
                "return_mean",
            )
        },
        **{f"reference_{name}": value for name, value in reference.items()},
        "steps": " ".join(map(str, steps)),
        "reason": "; ".join(dict.fromkeys(reasons)),
    }


FORMATS: dict[str, Callable[[Board], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "latex": latex,
    "json": as_json,
}
"""How a board can be written."""
