"""`zoo leaderboard compare`: what changed between two stores, and whether it is noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo_core.errors import UnknownName, ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.board.rows import Entry
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.report.encoding import json_text
from zoo_leaderboard.report.markup import Text, grid, lines_of, short, spread
from zoo_leaderboard.result import Ingredients
from zoo_leaderboard.stats import ALPHA, difference, mean, significant
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

Verdict = Literal["same", "noise", "changed", "open", "only in A", "only in B"]


@dataclass(frozen=True)
class Change:
    """A row on a dataset in two stores."""

    row: str
    dataset: str
    a: list[float]
    """Scores in the first store."""
    b: list[float]
    verdict: Verdict
    """`same`: the same runs with equal scores. `changed`: the means differ by more than chance.
    `noise`: they do not. `open`: a single run on a side, of which nothing can be told."""
    p_value: float
    """P-value of Welch's test, before the correction for many comparisons."""
    why: str = ""
    """Difference between the runs' inputs; or a note that equal keys gave other scores."""

    @property
    def difference(self) -> float | None:
        """B's mean less A's."""
        return mean(self.b) - mean(self.a) if self.a and self.b else None


def compare(
    a: Store | Path | str, b: Store | Path | str, track: Track | Path | str = "demo"
) -> list[Change]:
    """Every cell of a track that either store has finished.

    Means are compared by Welch's test at 5 % over all cells together (Holm 1979), so that one in
    twenty changes is not a change.

    Raises:
        ZooError: no such store or track, or no finished run in either.
    """
    first = load(a, track, check=False)
    # On one scale, whatever reference scores were known to either.
    second = load(b, track, check=False, references=first.references)
    places = [
        (row.label, dataset)
        for board in (first, second)
        for dataset in board.datasets
        for row in board.rows
        if row.entry(dataset).finished
    ]
    if not places:
        raise ZooError(f"neither store has a finished run of track '{first.track.name}'")
    pairs = [
        (place, _entry(first, *place), _entry(second, *place)) for place in dict.fromkeys(places)
    ]
    p_values = [_p_value(one, two) for _, one, two in pairs]
    real = significant(p_values)
    return [
        _change(first, second, place, one, two, p_value, changed)
        for (place, one, two), p_value, changed in zip(pairs, p_values, real, strict=True)
    ]


def _entry(board: Board, label: str, dataset: str) -> Entry:
    return next((r.entry(dataset) for r in board.rows if r.label == label), Entry())


def _p_value(one: Entry, two: Entry) -> float:
    return difference([one.scores], [two.scores]).p_value if one.scores and two.scores else 1.0


def _change(
    first: Board,
    second: Board,
    place: tuple[str, str],
    one: Entry,
    two: Entry,
    p_value: float,
    changed: bool,
) -> Change:
    verdict: Verdict
    why = ""
    if not one.finished or not two.finished:
        verdict = "only in B" if not one.finished else "only in A"
    else:
        why = _why(first, second, one, two)
        if _keys(one) == _keys(two) and one.scores == two.scores:
            verdict = "same"
        elif min(len(one.scores), len(two.scores)) < 2:
            verdict = "open"
        else:
            verdict = "changed" if changed else "noise"
    return Change(*place, one.scores, two.scores, verdict, p_value, why)


def _keys(entry: Entry) -> set[str]:
    return {run.key for run in entry.runs}


def _why(first: Board, second: Board, one: Entry, two: Entry) -> str:
    """Differences between the runs of a cell."""
    found: dict[str, None] = {}
    other = {run.key: run for run in two.runs}
    for run in one.runs:
        if run.key in other and other[run.key].score != run.score:
            found[f"seed {run.seed}: equal keys with other scores"] = None
    if one.runs[0].conditions != two.runs[0].conditions:
        was, now = _ingredients(first, one.runs[0]), _ingredients(second, two.runs[0])
        found |= dict.fromkeys(text for text in was.differences(now) if text != "seed")
    return "; ".join(found)


def _ingredients(board: Board, run: RunSummary) -> Ingredients:
    return board.record(run).ingredients


def render(changes: list[Change], format: str = "markdown") -> str:
    """The comparison as `markdown` or `json`.

    Raises:
        UnknownName: no such format.
    """
    if format not in ("markdown", "json"):
        raise UnknownName("format", format, ("markdown", "json"))
    if format == "json":
        lines = [{**change.__dict__, "difference": change.difference} for change in changes]
        return json_text(lines)
    header = ["algorithm", "dataset", "A", "B", "B - A", "p", "verdict", "what differs"]
    cells = [[Text(text) for text in header]]
    for change in sorted(changes, key=lambda change: change.verdict != "changed"):
        apart = change.difference
        texts = [
            change.row,
            change.dataset,
            *(f"{spread(side)} ({len(side)})" if side else "-" for side in (change.a, change.b)),
            "-" if apart is None else short(apart),
            f"{change.p_value:.3f}" if min(len(change.a), len(change.b)) > 1 else "-",
            change.verdict,
            change.why or "-",
        ]
        cells.append([Text(text, bold=change.verdict == "changed") for text in texts])
    counts = {change.verdict: 0 for change in changes}
    for change in changes:
        counts[change.verdict] += 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    notes = [
        f"{len(changes)} cells: {told}.",
        f"changed: Welch's test at {ALPHA:.0%} over all cells together (Holm); p is of a cell "
        "alone. open: a single run on a side.",
    ]
    return f"{lines_of(notes, '> ')}\n\n{grid(cells, left=(0, 1, 6, 7))}\n"
