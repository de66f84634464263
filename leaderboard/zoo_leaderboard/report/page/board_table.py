"""The table of a track: columns, and the text, sort key and tint of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zoo_leaderboard.board.board import AGGREGATE, Board
from zoo_leaderboard.board.rows import Entry, Row
from zoo_leaderboard.report.markup import spread
from zoo_leaderboard.report.page.about import About
from zoo_leaderboard.report.page.texts import decimal
from zoo_leaderboard.report.tables.sections import MATRIX_ROWS, steps_text, tuning_text
from zoo_leaderboard.running.progress import duration
from zoo_leaderboard.stats import Interval, mean

TINTS = 5
"""Backgrounds from a score of 0 to one of 100."""


@dataclass(frozen=True)
class Column:
    """A column to sort by."""

    title: str
    meaning: str = ""
    dataset: str = ""
    """The dataset of the column; empty for other columns."""
    rising: bool = False
    """Whether to sort in ascending order, since smaller is better."""
    sorted: bool = False
    """Whether the table is initially sorted by this column."""


@dataclass(frozen=True)
class Place:
    """One number of the table."""

    text: str
    value: float | None = None
    """Sort key; None comes last."""
    best: bool = False
    """Whether the number is not significantly worse than the best of its column."""
    interval: Interval | None = None
    """Interval to draw, if any."""


@dataclass(frozen=True)
class CellView:
    """A row on a dataset."""

    dataset: str
    text: str
    """Text of the cell; empty if no run has a score."""
    value: float | None
    count: str
    """Number of seeds that the score covers."""
    tint: int
    best: bool
    states: tuple[tuple[str, str], ...]
    """Problems, each with its reasons: failed, stale, damaged, missing, alarm, versions."""
    opens: bool
    """Whether the cell has a page."""


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    row: Row
    about: About
    before: list[Place]
    cells: list[CellView]
    after: list[Place]


@dataclass(frozen=True)
class Table:
    """Everything that the table shows."""

    before: list[Column]
    datasets: list[Column]
    after: list[Column]
    lines: list[Line]
    scale: tuple[float, float]
    """The ends of the axis of the intervals."""


BEFORE = (
    Column(
        "mean",
        "Mean over datasets of the mean over seeds; 95 % bootstrap interval.",
        "",
        False,
        True,
    ),
    Column("IQM", "Interquartile mean over all runs; 95 % stratified bootstrap interval."),
    Column("rank", "Average rank over datasets; 95 % bootstrap interval.", rising=True),
)
AFTER = (
    Column("mean of last 3", "Of the last three evaluations; ranks nothing."),
    Column("best over time", "An oracle's choice of the checkpoint; ranks nothing."),
    Column("updates", "Training steps of a run.", rising=True),
    Column(
        "tuning", "Evaluations that the search for the settings spent per dataset.", rising=True
    ),
    Column("time", "Mean time of a run: set-up, training and evaluation.", rising=True),
)


def table_of(board: Board, abouts: Mapping[str, About]) -> Table:
    """The table of a board."""
    ends = [end for a in board.aggregates.values() for i in (a.mean, a.iqm) for end in i if i.known]
    low, high = min([0.0, *ends]), max([100.0, *ends])
    return Table(
        list(BEFORE),
        [Column(dataset, dataset=dataset) for dataset in board.datasets],
        list(AFTER),
        [_line(board, row, abouts[row.algorithm]) for row in board.rows],
        (low, high),
    )


def _line(board: Board, row: Row, about: About) -> Line:
    found = board.aggregates.get(row.label)
    if found is None:
        before, compared = [Place("–")] * len(BEFORE), [Place("–")] * 2
    else:
        before = [
            _interval(found.mean, best=board.among_best(AGGREGATE, row.label), drawn=True),
            _interval(found.iqm, drawn=True),
            _interval(found.rank),
        ]
        compared = [Place(decimal(value), value) for value in (found.last, found.best)]
    seconds = [run.wall_seconds for run in row.runs]
    costs = [
        Place(steps_text(row.steps, board), float(row.steps[1]) if row.steps else None),
        Place(tuning_text(row), _tuning(row)),
        Place(duration(mean(seconds)), mean(seconds)) if seconds else Place("–"),
    ]
    cells = [cell_view(board, row, dataset) for dataset in board.datasets]
    return Line(row, about, before, cells, [*compared, *costs])


def _tuning(row: Row) -> float | None:
    known = [run.tuning_evaluations for run in row.runs if run.tuning_evaluations is not None]
    return float(max(known)) if known else None


def _interval(found: Interval, *, best: bool = False, drawn: bool = False) -> Place:
    text = decimal(found.value)
    if found.known:
        text += f" [{decimal(found.low)}, {decimal(found.high)}]"
    return Place(text, found.value, best, found if drawn and found.known else None)


def cell_view(board: Board, row: Row, dataset: str) -> CellView:
    """The table's view of a row on a dataset."""
    entry = row.entry(dataset)
    stale = [run.score for run, _ in entry.stale.values() if run.score is not None]
    scores = entry.scores or stale
    value = mean(scores) if scores else None
    normalised = board.references.get(dataset) is not None
    tinted = value is not None and normalised and bool(entry.scores)
    return CellView(
        dataset=dataset,
        text=spread(scores).replace("-", "−") if scores else "",
        value=value,
        count=_count(entry),
        tint=_tint(value) if tinted and value is not None else 0,
        best=board.among_best(dataset, row.label),
        states=_states(entry),
        opens=bool(entry.finished or entry.failed or entry.stale or entry.damaged),
    )


def _count(entry: Entry) -> str:
    done = len(entry.finished) or len(entry.stale)
    return f"{done}" if done == entry.expected else f"{done} of {entry.expected}"


def _tint(score: float) -> int:
    return max(0, min(TINTS, round(score / 100.0 * TINTS)))


def _states(entry: Entry) -> tuple[tuple[str, str], ...]:
    reasons = {
        "failed": [run.reason for run in entry.failed.values()],
        "stale": [f"changed since: {why}" for _, why in entry.stale.values()],
        "damaged": list(entry.damaged.values()),
        "missing": ["planned, and without a result"] if entry.missing else [],
        "alarm": [run.alarm for run in entry.runs if run.alarm],
        "versions": [entry.versions_note] if entry.versions_note else [],
    }
    return tuple(
        (state, "; ".join(dict.fromkeys(texts))) for state, texts in reasons.items() if texts
    )


def improvements_of(board: Board) -> list[tuple[str, list[Interval | None]]]:
    """Each row with its probability of improving on every row; empty for too many rows."""
    labels = [row.label for row in board.rows if row.label in board.aggregates]
    if not 2 <= len(labels) <= MATRIX_ROWS:
        return []
    return [(x, [None if x == y else board.improvement(x, y) for y in labels]) for x in labels]
