"""What every written table shows, before it is escaped: sections of cells, and the lines around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from zoo_leaderboard.board.board import AGGREGATE, Board
from zoo_leaderboard.board.rows import Entry, Row
from zoo_leaderboard.report.markup import Notes, Text, short, spread, thousands
from zoo_leaderboard.stats import Interval, mean

STALE = "†"
MATRIX_ROWS = 16
"""Rows up to which the probabilities of improvement are shown as a matrix."""

Grid = list[list[Text]]
"""Lines of cells, the header first."""


@dataclass
class Sections:
    """A board as text."""

    heading: list[str]
    """What must be known to read it."""
    tables: list[tuple[str, Grid]]
    """Each with what it shows, in one line."""
    below: list[str] = field(default_factory=list)


def sections(board: Board) -> Sections:
    """All that Markdown and LaTeX show of a board."""
    notes = Notes()
    tables = [("", _scores(board, notes))]
    if board.aggregates:
        tables.append(("Over the common datasets:", _aggregates(board)))
    improvements = _improvements(board)
    if improvements:
        title = "Probability that a run of the row beats a run of the column, on a common dataset:"
        tables.append((title, improvements))
    if any(row.runs for row in board.rows):
        tables.append(("Cost of a run, the mean over all finished runs:", _costs(board)))
    return Sections(heading_lines(board), tables, _below(board, notes))


def score_text(entry: Entry) -> str:
    """The score over the finished seeds, of which there is at least one, with their number."""
    n, expected = len(entry.finished), entry.expected
    count = f"({n})" if n == expected else f"({n} of {expected})"
    return f"{spread(entry.scores)} {count}"


def cell_text(entry: Entry, notes: Notes) -> str:
    """A cell: the score over seeds with their number, that of the other ways of acting, and a mark
    for whatever is not well."""
    texts: list[str] = []
    if entry.finished:
        texts.append(score_text(entry) + _other_acts(entry))
    elif entry.stale:
        scores = [run.score for run, _ in entry.stale.values() if run.score is not None]
        texts.append(f"{spread(scores)} ({len(scores)}){STALE}")
    for reason in dict.fromkeys(run.reason for run in entry.failed.values()):
        texts.append(f"failed {notes.mark(reason)}")
    for reason in dict.fromkeys(entry.damaged.values()):
        texts.append(f"damaged {notes.mark(reason)}")
    for why in dict.fromkeys(why for _, why in entry.stale.values()):
        texts.append(f"stale {notes.mark('stale: ' + why)}")
    for alarm in dict.fromkeys(run.alarm for run in entry.runs if run.alarm):
        texts.append(f"alarm {notes.mark('alarm: ' + alarm)}")
    if entry.versions_note:
        texts.append(f"versions {notes.mark(entry.versions_note)}")
    if not texts:
        return "missing"
    if entry.missing and not entry.finished:
        texts.append("missing")
    return ", ".join(texts)


def acts_of(entry: Entry) -> dict[str, list[float]]:
    """By named way of acting but the headline, the scores at the last step."""
    found: dict[str, list[float]] = {}
    for run in (run for run in entry.runs if run.other_acts):
        for act, score in run.acts.items():
            if act != run.act:
                found.setdefault(act, []).append(score)
    return found


def _other_acts(entry: Entry) -> str:
    texts = [f"{act} {short(mean(scores))}" for act, scores in acts_of(entry).items()]
    return f" [{', '.join(texts)}]" if texts else ""


def interval_text(interval: Interval, digits: int = 1) -> str:
    """A value with its interval, where there is one."""
    value, low, high = (f"{number:.{digits}f}" for number in interval)
    return f"{value} [{low}, {high}]" if interval.known else value


def steps_text(steps: tuple[int, int] | None, board: Board) -> str:
    """A budget from the least to the most steps, and whether it is a reduced one."""
    if steps is None:
        return "-"
    low, high = map(thousands, steps)
    text = low if low == high else f"{low} to {high}"
    return f"{text}, reduced" if board.track.reduced else text


def tuning_text(row: Row) -> str:
    """How many training runs the search for a row's settings spent, per dataset."""
    found = {run.tuning_evaluations for run in row.runs}
    if not found:
        return "-"
    known = sorted(number for number in found if number is not None)
    if None in found:
        return f"unknown, {known[-1]} and more" if known and known[-1] else "unknown"
    return f"{known[0]}" if len(known) == 1 else f"{known[0]} to {known[-1]}"


def row_text(row: Row) -> str:
    """A row's label; learners outside the core are marked."""
    return f"{row.label} [external]" if row.external else row.label


def _scores(board: Board, notes: Notes) -> Grid:
    header = ["algorithm", "steps", "tuning", *board.datasets]
    lines = [
        [
            Text(row_text(row)),
            Text(steps_text(row.steps, board)),
            Text(tuning_text(row)),
            *(
                Text(cell_text(row.entry(dataset), notes), board.among_best(dataset, row.label))
                for dataset in board.datasets
            ),
        ]
        for row in board.rows
    ]
    return [_header(header), *lines]


def _aggregates(board: Board) -> Grid:
    labels = [row.label for row in board.rows if row.label in board.aggregates]
    header = ["#", "algorithm", "mean [95 %]", "median [95 %]", "IQM [95 %]"]
    header += ["optimality gap [95 %]", "average rank [95 %]", "mean of last 3"]
    header += ["best over time", "not told apart from"]
    lines: Grid = []
    for place, label in enumerate(labels):
        found = board.aggregates[label]
        numbers = found.mean, found.median, found.iqm, found.optimality_gap
        alike = [i for i, other in enumerate(labels) if i != place and _alike(board, label, other)]
        lines.append(
            [
                Text(str(place + 1)),
                Text(row_text(board.row(label))),
                Text(interval_text(numbers[0]), board.among_best(AGGREGATE, label)),
                *(Text(interval_text(number)) for number in numbers[1:]),
                Text(interval_text(found.rank)),
                Text(short(found.last)),
                Text(short(found.best)),
                Text(_ranges(alike) or "-"),
            ]
        )
    return [_header(header), *lines]


def _alike(board: Board, x: str, y: str) -> bool:
    return not board.told_apart(x, y)


def _ranges(places: Iterable[int]) -> str:
    """Places counted from 0 as numbers from 1, neighbours joined: `1, 3-5`."""
    found: list[list[int]] = []
    for number in (place + 1 for place in places):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in found)


def _improvements(board: Board) -> Grid:
    labels = [row.label for row in board.rows if row.label in board.aggregates]
    if not 2 <= len(labels) <= MATRIX_ROWS:
        return []

    def text(x: str, y: str) -> Text:
        return Text("-" if x == y else interval_text(board.improvement(x, y), 2))

    header = _header(["P(row > column)", *labels])
    return [header, *([Text(x), *(text(x, y) for y in labels)] for x in labels)]


def _costs(board: Board) -> Grid:
    header = ["algorithm", "wall time", "training", "updates per second", "parameters", "memory"]
    lines = []
    for row in board.rows:
        whole = Entry(finished=dict(enumerate(row.runs)))
        if not whole.finished:
            continue
        wall = whole.mean_of(lambda run: run.wall_seconds)
        training = whole.mean_of(lambda run: run.seconds_training)
        memory = whole.mean_of(lambda run: run.peak_memory)
        rate = whole.mean_of(lambda run: run.updates_per_second)
        parameters = whole.mean_of(lambda run: run.parameters)
        lines.append(
            [
                Text(row_text(row)),
                Text("-" if wall is None else f"{wall:,.0f} s"),
                Text(f"{training / wall:.0%}" if training is not None and wall else "-"),
                Text("-" if rate is None else f"{rate:,.3g}"),
                Text("-" if parameters is None else f"{parameters:,.0f}"),
                Text("-" if memory is None else f"{memory / 2**20:,.0f} MiB"),
            ]
        )
    return [_header(header), *lines]


def _header(texts: Iterable[str]) -> list[Text]:
    return [Text(text) for text in texts]


def heading_lines(board: Board) -> list[str]:
    """What must be known to read the table."""
    protocol = board.protocol
    lines = [f"Track {board.track.name}: {board.track.summary}", *board.track.notes]
    lines.append(
        f"Score: the last checkpoint's mean return over {protocol.episodes} episodes, "
        "normalised to 0 (reference minimum) to 100 (reference maximum); "
        "mean ± sample standard deviation over seeds (number of seeds) [other ways of acting]. "
        "Tuning: training runs per dataset that the search for the settings spent."
    )
    lines.append(
        "Bold: the highest mean of the column and those that Welch's test at 5 % does not tell "
        "from it. Rows with a single seed cannot be tested, and are told from nothing."
    )
    if board.common:
        lines.append(
            "Aggregates cover the datasets that every row with a result has finished: "
            f"{', '.join(board.common)}. Mean and median are of the datasets' means, IQM is the "
            "interquartile mean over runs, the optimality gap the mean shortfall from 100. "
            "Intervals are 95 % stratified bootstrap intervals over seeds, which are too narrow "
            "for a few seeds and absent for one. Mean of last 3 evaluations and best over time "
            "(an oracle's choice of checkpoint) are shown for comparison and rank nothing."
        )
        if len(board.aggregates) > MATRIX_ROWS:
            lines.append("Probabilities of improvement of so many rows are in the JSON format.")
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
    return [*lines, *board.notes]


def metrics_of(entry: Entry) -> dict[str, dict[str, list[float | None]]]:
    """The training's last metrics by stage and name: a value per finished seed, none where its
    record lacks the metric."""
    found: dict[str, dict[str, list[float | None]]] = {}
    runs = entry.runs
    for position, run in enumerate(runs):
        for stage, metrics in run.metrics.items():
            for name, value in metrics.items():
                values = found.setdefault(stage, {}).setdefault(name, [None] * len(runs))
                values[position] = value
    return found


_HELD_OUT = "/held_out"


def _held_out_lines(board: Board) -> list[str]:
    """Where an update reports the metric `held_out`, its last losses on data learnt and not."""
    lines: list[str] = []
    for row in board.rows:
        for dataset in board.datasets:
            entry = row.entry(dataset)
            if not any(_HELD_OUT in run.details_json for run in entry.runs):
                continue
            for metrics in metrics_of(entry).values():
                for name in (name for name in metrics if name.endswith(_HELD_OUT)):
                    update = name.removesuffix("held_out")
                    means = {
                        own: mean([value for value in values if value is not None])
                        for own, values in metrics.items()
                        if own.startswith(update)
                    }
                    texts = ", ".join(f"{own} {value:.4g}" for own, value in means.items())
                    lines.append(f"Held-out error of {row.label} on {dataset}: {texts}.")
    return lines


def _below(board: Board, notes: Notes) -> list[str]:
    shown = set(notes.texts)
    lines = [*notes.lines(), *_held_out_lines(board)]
    if any(entry.stale for row in board.rows for entry in row.entries.values()):
        lines.append(f"{STALE} made by code, data or settings that have changed since; not ranked.")
    lines += [str(d) for d in board.damaged if str(d) not in shown]
    return lines
