"""The ranking on one screen of a terminal: rows with their means, a column per dataset, and the
missing scores. The other formats hold everything else."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from zoo_core.text import printable
from zoo_leaderboard.board.board import AGGREGATE, Board
from zoo_leaderboard.board.rows import Entry, Row
from zoo_leaderboard.causes import named
from zoo_leaderboard.report.markup import short
from zoo_leaderboard.report.tables.labels import cut, short_labels
from zoo_leaderboard.report.tables.sections import interval_text
from zoo_leaderboard.stats import mean

WIDTH, HEIGHT = 80, 25
GAP = 2
"""Spaces between columns."""
MOST_REASONS = 3
"""Maximum number of failure reasons to list."""
BEST = "*"
STATES = ("failed", "damaged", "stale", "missing")

Column = list[str]
"""The header, then a text per row."""


def compact(board: Board, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The board in at most `height` lines of `width` characters.

    Args:
        board: The board.
        width: Characters of a line, at least 60.
        height: Lines, at least 15.
    """
    width, height = max(width, 60), max(height, 15)
    below = _reasons(board, width)
    ends = 1 + len(below) + 1
    # The lines about datasets are only known when the columns are, so their room is kept.
    room = max(height - ends - 9, 3)
    # The line that counts the others has the room of one row.
    rows = board.rows[: room + 1] if len(board.rows) == room + 1 else board.rows[:room]
    places, means, missing = _places(board, rows), _means(board, rows), _missing(board, rows)
    others = width - sum(map(_width_with_gap, [places, means, *missing]))
    columns, legend = _datasets(board, rows, others - _width_with_gap(_labels(rows, width // 4)))
    labels = _labels(rows, max(width // 4, others - sum(map(_width_with_gap, columns))))
    lines = [cut(_title(board), width), *_grid([places, labels, means, *columns, *missing])]
    if not rows:
        lines.append("no run yet: 'zoo leaderboard run' makes some")
    hidden = len(board.rows) - len(rows)
    lines += [f"... and {hidden} more rows"] if hidden else []
    lines += _wrapped(legend, width, 3)
    lines += _wrapped(_reading(board), width, 4)
    return "\n".join([*lines, *below, cut(_MORE, width)]) + "\n"


_MORE = "whole table: --full, or --format csv|json|latex|markdown with --out FILE"


def _title(board: Board) -> str:
    reduced = " (reduced)" if board.track.reduced else ""
    return f"{board.track.name}{reduced}: {board.track.summary}"


def _places(board: Board, rows: Sequence[Row]) -> Column:
    ranked = [row.label for row in rows if row.label in board.aggregates]
    places = {label: str(place) for place, label in enumerate(ranked, 1)}
    return ["#", *(places.get(row.label, "-") for row in rows)]


def _labels(rows: Sequence[Row], longest: int) -> Column:
    return ["algorithm", *short_labels(rows, longest)]


def _means(board: Board, rows: Sequence[Row]) -> Column:
    def text(label: str) -> str:
        if label not in board.aggregates:
            return "-"
        best = BEST if board.among_best(AGGREGATE, label) else ""
        return interval_text(board.aggregates[label].mean) + best

    return _starred("mean [95 %]", [text(row.label) for row in rows])


def _starred(header: str, texts: Sequence[str]) -> Column:
    """A column with aligned numbers, with or without a mark."""
    if not any(text.endswith(BEST) for text in texts):
        return [header, *texts]
    return [header, *(text if text.endswith(BEST) else f"{text} " for text in texts)]


def _missing(board: Board, rows: Sequence[Row]) -> list[Column]:
    """A column that counts missing scores by row; no column if nothing is missing."""
    texts = []
    for row in rows:
        counts: Counter[str] = Counter()
        for dataset in board.datasets:
            entry = row.entry(dataset)
            counts.update({state: len(getattr(entry, state)) for state in STATES})
        texts.append(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]))
    return [["no score", *texts]] if any(texts) else []


def _datasets(board: Board, rows: Sequence[Row], room: int) -> tuple[list[Column], str]:
    """As many columns as fit, under the shortest unique names, and a note on them."""
    cells = {d: [_cell(board, row, d) for row in rows] for d in board.datasets}
    names = short_names(board.datasets)
    letters = {d: _letters(number) for number, d in enumerate(board.datasets)}
    for headers in (names, letters):
        columns = [_starred(headers[d], cells[d]) for d in board.datasets]
        if sum(map(_width_with_gap, columns)) <= room:
            break
    fitting: list[Column] = []
    for column in columns:
        room -= _width_with_gap(column)
        if room < 0:
            break
        fitting.append(column)
    shown = board.datasets[: len(fitting)]
    legend = ""
    if headers is letters:
        legend = ", ".join(f"{letters[d]}={names[d]}" for d in shown)
    if hidden := len(board.datasets) - len(fitting):
        more = f"{hidden} more datasets do not fit"
        legend = f"{legend}; {more}" if legend else more
    return fitting, legend


def _cell(board: Board, row: Row, dataset: str) -> str:
    entry = row.entry(dataset)
    if entry.finished:
        text = short(mean(entry.scores))
        if not entry.complete:
            return f"{text} {len(entry.finished)}/{entry.expected}"
        return text + (BEST if board.among_best(dataset, row.label) else "")
    return next((state for state in STATES[:-1] if getattr(entry, state)), "-")


def short_names(datasets: Sequence[str]) -> dict[str, str]:
    """The ends of the datasets' names that tell them apart, without versions where these do not."""
    plain = [re.sub(r"-v\d+(?=$|[+])", "", name) for name in datasets]
    names = plain if len(set(plain)) == len(plain) else list(datasets)
    if any("+" in name or "*" in name for name in names):
        return dict(zip(datasets, names, strict=True))
    parts = max((name.count("/") for name in names), default=0) + 1
    for kept in range(1, parts + 1):
        ends = ["/".join(name.split("/")[-kept:]) for name in names]
        if len(set(ends)) == len(ends):
            return dict(zip(datasets, ends, strict=True))
    return dict(zip(datasets, names, strict=True))


def _letters(number: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def _reading(board: Board) -> str:
    """An explanation of the numbers."""
    if board.common:
        covered, total = len(board.common), len(board.datasets)
        number = "all" if covered == total else f"{covered} of"
        datasets = f"{number} {total} datasets" if total > 1 else "the dataset"
        said = f"mean over {datasets}, which every row with a result has finished"
    else:
        said = "no mean: no dataset with reference scores has been finished by every row"
    raw = [d for d in board.datasets if d in board.references and board.references[d] is None]
    if raw:
        said += f"; raw returns of {', '.join(short_names(board.datasets)[d] for d in raw)}"
    said += f"; {BEST} highest mean, and those not significantly lower (Welch's test, 5 %)"
    unused = [d for d in board.track.dataset_ids() if d not in board.datasets]
    notes = [f"not run of this track: {named(unused)}"] if board.datasets and unused else []
    return "; ".join([said, *board.notes, *notes])


def _reasons(board: Board, width: int) -> list[str]:
    """The most frequent reasons of failures and damage, each once."""
    entries: list[Entry] = [row.entry(d) for row in board.rows for d in board.datasets]
    counts = Counter(run.reason for entry in entries for run in entry.failed.values())
    lines = [f"failed {n} x: {reason}" for reason, n in counts.most_common(MOST_REASONS)]
    if len(counts) > MOST_REASONS:
        lines.append(f"... and {len(counts) - MOST_REASONS} more reasons of failures")
    if board.damaged:
        more = f" {len(board.damaged)} x, such as" if len(board.damaged) > 1 else ""
        first = board.damaged[0]
        lines.append(f"damaged{more}: {first.reason}: {first.place}")
    return [cut(line, width) for line in lines]


def _wrapped(text: str, width: int, most: int) -> list[str]:
    return textwrap.wrap(
        printable(text), width, max_lines=most, placeholder=" ...", break_on_hyphens=False
    )


def _width_with_gap(column: Column) -> int:
    return max(map(cell_len, column)) + GAP


def _grid(columns: Sequence[Column]) -> Iterable[str]:
    """The columns side by side: labels left-aligned, numbers right-aligned."""
    widths = [max(map(cell_len, column)) for column in columns]
    for line in zip(*columns, strict=True):
        cells = []
        for header, text, width in zip((c[0] for c in columns), line, widths, strict=True):
            space = " " * (width - cell_len(text))
            cells.append(text + space if header in {"algorithm", "no score"} else space + text)
        yield (" " * GAP).join(cells).rstrip()
