"""Our scores beside published ones, with the difference in data and environment named.

No difference of scores is computed: they are of other data, environments and rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from zoo_core.errors import UnknownName, ZooError
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.rows import Entry, Row
from zoo_leaderboard.report.encoding import csv_text, json_text
from zoo_leaderboard.report.markup import Notes, grid, lines_of, plus_minus
from zoo_leaderboard.report.published import Published, PublishedScore, load_published
from zoo_leaderboard.report.tables.sections import row_text, score_text, steps_text
from zoo_leaderboard.stats import mean, standard_deviation

COLUMNS = (
    *("algorithm", "dataset", "ours", "updates", "our checkpoint"),
    *("published", "as", "published dataset", "environment", "its checkpoint", "kind", "source"),
)
NUMBERS = ("ours", "updates", "published")
OURS = "last"
"""The checkpoint whose score ours is."""
WARNING = (
    "The two sides are not comparable, and no difference between them is computed: data, "
    "environments, settings and budgets differ, and often the choice of the checkpoint."
)


@dataclass(frozen=True)
class Pair:
    """A row's finished runs on a dataset, and the published scores that stand beside them."""

    row: Row
    dataset: str
    entry: Entry
    published: list[PublishedScore]

    @property
    def steps(self) -> tuple[int, int]:
        """The least and the most updates of the finished runs."""
        found = [result.total_steps for result in self.entry.finished.values()]
        return min(found), max(found)

    @property
    def raw(self) -> bool:
        """Whether ours are returns, for want of reference scores."""
        return any(result.reference is None for result in self.entry.finished.values())


def pairs_of(board: Board, published: Published) -> list[Pair]:
    """Every finished cell of the board, in the order of its table."""
    return [
        Pair(row, dataset, row.entry(dataset), published.scores(row.algorithm, dataset))
        for row in board.rows
        for dataset in board.datasets
        if row.entry(dataset).finished
    ]


def render(board: Board, format: str = "markdown", published: Published | None = None) -> str:
    """Our scores beside published ones, in one of `FORMATS`.

    Args:
        board: Ours; stale results are left out.
        format: `markdown`, `csv` or `json`.
        published: What is known; none for the shipped file.

    Raises:
        UnknownName: no such format.
        ZooError: no finished run that holds.
    """
    if format not in FORMATS:
        raise UnknownName("table format", format, FORMATS)
    published = published or load_published()
    pairs = pairs_of(board, published)
    if not pairs:
        raise ZooError(
            f"no finished run of track '{board.track.name}' to compare; stale results do not count"
        )
    return FORMATS[format](board, pairs, published)


def heading_lines(board: Board) -> list[str]:
    """What must be known to read the table."""
    return [
        f"Track {board.track.name}: {board.track.summary}",
        *board.track.notes,
        "Ours: the last checkpoint's score after so many updates, mean ± sample standard deviation "
        f"over seeds (number of seeds), {board.protocol.episodes} episodes each. Published: as the "
        "source prints it; (number of seeds) where it is stated.",
        "The two sides are not comparable; below the table stands why.",
    ]


def difference_lines(pairs: Iterable[Pair], published: Published) -> list[str]:
    """For each kind of dataset what differs, and the datasets without a counterpart."""
    shown = list(dict.fromkeys(pair.dataset for pair in pairs))
    lines = []
    for counterpart in published.counterparts:
        beside = [d for d in shown if d in counterpart.datasets]
        if beside:
            names = "; ".join(f"{d} beside {', '.join(counterpart.datasets[d])}" for d in beside)
            lines.append(
                f"{names}. Data: {counterpart.data} Environment: {counterpart.environment} "
                f"Scores: {counterpart.scale}"
            )
    lines += [
        f"{dataset}: no published dataset is its counterpart."
        for dataset in shown
        if published.counterpart(dataset) is None
    ]
    return [*lines, WARNING]


def _missing_lines(board: Board) -> list[str]:
    cells = [row.entry(dataset) for row in board.rows for dataset in board.datasets]
    unfinished = sum(entry.expected > 0 and not entry.finished for entry in cells)
    return [f"Not shown: {unfinished} cells without a finished run."] if unfinished else []


def markdown(board: Board, pairs: list[Pair], published: Published) -> str:
    """GitHub's Markdown: a line for each published score, one for a cell without any."""
    notes = Notes()
    cells = [list(COLUMNS)]
    for pair in pairs:
        ours = [
            row_text(pair.row),
            pair.dataset,
            score_text(pair.entry) + (", raw return" if pair.raw else ""),
            steps_text(pair.steps, board),
            OURS,
        ]
        if not pair.published:
            cells.append([*ours, "none", *["-"] * (len(COLUMNS) - len(ours) - 1)])
        cells += [[*ours, *_published_texts(score, notes)] for score in pair.published]
    below = [*difference_lines(pairs, published), *_missing_lines(board)]
    left = {i for i, column in enumerate(COLUMNS) if column not in NUMBERS}
    blocks = [lines_of(heading_lines(board), "> "), grid(cells, left), lines_of(below)]
    if notes.texts:
        blocks.append(lines_of(notes.lines()))
    return "\n\n".join(blocks) + "\n"


def _published_texts(score: PublishedScore, notes: Notes) -> list[str]:
    seeds = "seeds not stated" if score.seeds is None else str(score.seeds)
    source = f"{score.source}: {score.note}" if score.note else score.source
    unstated = score.dataset_version == "not stated"
    return [
        f"{plus_minus(score.score_mean, score.score_std)} ({seeds})",
        score.name,
        f"{score.dataset}, version not stated" if unstated else score.dataset,
        score.environment,
        score.checkpoint,
        score.kind,
        notes.mark(source) + (f" {notes.mark(score.remark)}" if score.remark else ""),
    ]


def _ours(pair: Pair, board: Board) -> dict[str, Any]:
    values = pair.entry.scores
    return {
        "score_mean": mean(values),
        "score_std": standard_deviation(values) if len(values) > 1 else None,
        "raw_return": pair.raw,
        "seeds": len(values),
        "expected_seeds": pair.entry.expected,
        "updates": pair.steps,
        "reduced": board.track.reduced,
        "checkpoint": OURS,
    }


def _differs(pair: Pair, published: Published) -> dict[str, str] | None:
    found = published.counterpart(pair.dataset)
    if found is None:
        return None
    return {"data": found.data, "environment": found.environment, "scale": found.scale}


def as_json(board: Board, pairs: list[Pair], published: Published) -> str:
    """Every number behind the table, with what differs."""
    rows = [
        {
            "row": pair.row.label,
            "algorithm": pair.row.algorithm,
            "variant": pair.row.variant,
            "settings": pair.row.settings,
            "dataset": pair.dataset,
            "ours": _ours(pair, board),
            "published": [score.model_dump() for score in pair.published],
            "differences": _differs(pair, published),
        }
        for pair in pairs
    ]
    content = {"track": board.track.name, "warning": WARNING, "rows": rows}
    return json_text(content)


def as_csv(board: Board, pairs: list[Pair], published: Published) -> str:
    """A line for each published score, one for a cell without any; with full precision."""
    ours = ("score_mean", "score_std", "raw_return", "seeds", "updates", "reduced", "checkpoint")
    columns = (
        *("row", "algorithm", "variant", "dataset"),
        *(f"ours_{name}" for name in ours),
        *(f"published_{name}" for name in PublishedScore.model_fields),
        *("data_differ", "environment_differs", "scale_differs", "warning"),
    )
    lines: list[dict[str, Any]] = []
    for pair in pairs:
        numbers = _ours(pair, board)
        numbers["updates"] = " ".join(map(str, sorted(set(pair.steps))))
        differs = _differs(pair, published) or {}
        line = {
            "row": pair.row.label,
            "algorithm": pair.row.algorithm,
            "variant": pair.row.variant,
            "dataset": pair.dataset,
            **{f"ours_{name}": numbers[name] for name in ours},
            "data_differ": differs.get("data", "no counterpart"),
            "environment_differs": differs.get("environment", "no counterpart"),
            "scale_differs": differs.get("scale", "no counterpart"),
            "warning": WARNING,
        }
        scores: list[dict[str, Any]] = [score.model_dump() for score in pair.published]
        for score in scores or [{"name": "none"}]:
            lines.append({**line, **{f"published_{k}": v for k, v in score.items()}})
    return csv_text(columns, lines)


FORMATS: dict[str, Callable[[Board, list[Pair], Published], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "json": as_json,
}
"""How the comparison can be written."""
