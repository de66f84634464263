"""A leaderboard from finished runs alone: rows of algorithms, columns of datasets, cells of seeds.

`Board` holds numbers and states; `tables`, `comparison` and `plots` show it. Nothing here trains
or evaluates.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard import stats
from zoo_leaderboard.board.rows import Row
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.result import Protocol, ReferenceScores, Result
from zoo_leaderboard.stats import Interval, mean
from zoo_leaderboard.store import Damaged, Store
from zoo_leaderboard.track import Track

if TYPE_CHECKING:
    import pandas as pd

AGGREGATE = "aggregate"
"""Name of the aggregates' column in `Board.not_worse`."""


@dataclass(frozen=True)
class Aggregate:
    """A row over the datasets that every row has finished, with 95 % bootstrap intervals."""

    mean: Interval
    """Mean of the datasets' means over seeds."""
    median: Interval
    """Median of the datasets' means over seeds."""
    iqm: Interval
    """Interquartile mean over all runs."""
    optimality_gap: Interval
    """Mean amount by which scores fall short of 100."""
    rank: Interval
    """Rank by the mean over seeds, 1 for the best, averaged over the datasets."""
    last: float
    """The mean as above, of the mean of each run's last three evaluations."""
    best: float
    """The mean as above, of each run's best evaluation."""


@dataclass
class Board:
    """The leaderboard of a track."""

    track: Track
    rows: list[Row]
    datasets: list[str]
    """Datasets with a requested run, in the track's order."""
    references: dict[str, ReferenceScores | None]
    damaged: list[Damaged]
    """Every unreadable file of the store."""
    store: Store
    """The store that holds the records."""
    notes: list[str] = field(default_factory=list)
    """Notes on how the runs were chosen and scored, one per line."""
    _improvements: dict[tuple[str, str], Interval] = field(default_factory=dict, repr=False)

    @property
    def protocol(self) -> Protocol:
        """The evaluation protocol of the track."""
        return self.track.protocol

    @property
    def active(self) -> list[Row]:
        """The rows that have finished any dataset: a row with nothing cannot be compared."""
        return [r for r in self.rows if any(r.entry(d).complete for d in self.datasets)]

    @cached_property
    def common(self) -> list[str]:
        """The datasets with reference scores that every active row has finished."""
        scored = [d for d in self.datasets if self.references.get(d) is not None]
        rows = self.active
        return [d for d in scored if rows and all(row.entry(d).complete for row in rows)]

    @cached_property
    def aggregates(self) -> dict[str, Aggregate]:
        """Aggregates by row label; empty without a common dataset."""
        if not self.common:
            return {}
        # In a fixed order, so that no interval depends on which run finished first.
        rows = sorted(self.active, key=lambda row: row.label)
        ranks = stats.average_ranks([self._scores(row.label) for row in rows])
        return {
            row.label: self._aggregate(row, rank) for row, rank in zip(rows, ranks, strict=True)
        }

    def ranked(self) -> list[Row]:
        """The rows by their mean over the common datasets, best first; equal ones by label, and so
        those without an aggregate, which are last."""
        means = np.array([found.mean.value for found in self.aggregates.values()])
        scores = [runs for label in self.aggregates for runs in self._scores(label)]
        places = stats.levels(-means, stats.resolution(scores))
        place = dict(zip(self.aggregates, places.tolist(), strict=True))
        return sorted(self.rows, key=lambda row: (place.get(row.label, len(place)), row.label))

    def _aggregate(self, row: Row, rank: Interval) -> Aggregate:
        entries = [row.entry(dataset) for dataset in self.common]
        found = stats.aggregates(self._scores(row.label))
        lasts = [entry.mean_of(lambda run: run.last) for entry in entries]
        bests = [entry.mean_of(lambda run: run.best) for entry in entries]
        return Aggregate(
            **found._asdict(),
            rank=rank,
            last=mean([value for value in lasts if value is not None]),
            best=mean([value for value in bests if value is not None]),
        )

    def _scores(self, label: str) -> list[list[float]]:
        """The scores of a row on each common dataset."""
        return [self.row(label).entry(dataset).scores for dataset in self.common]

    def row(self, label: str) -> Row:
        """The row of a label.

        Raises:
            KeyError: there is none.
        """
        return self._by_label[label]

    @cached_property
    def _by_label(self) -> dict[str, Row]:
        return {row.label: row for row in self.rows}

    def improvement(self, x: str, y: str) -> Interval:
        """P(a run of row x beats one of row y) over the common datasets."""
        if (x, y) not in self._improvements:
            found = stats.probability_of_improvement(self._scores(x), self._scores(y))
            self._improvements[x, y] = found
            self._improvements[y, x] = found.complement()
        return self._improvements[x, y]

    @property
    def improvements(self) -> dict[tuple[str, str], Interval]:
        """`improvement` of every pair of rows with an aggregate."""
        return {
            (x, y): self.improvement(x, y) for x, y in itertools.permutations(self.aggregates, 2)
        }

    @cached_property
    def not_worse(self) -> dict[str, set[str]]:
        """By dataset, and for the aggregates by `AGGREGATE`, the rows that cannot be told from the
        best by their means: `stats.not_worse`."""
        found = {
            dataset: stats.not_worse(
                {row.label: [row.entry(dataset).scores] for row in self.scored(dataset)}
            )
            for dataset in self.datasets
        }
        return {**found, AGGREGATE: stats.not_worse({x: self._scores(x) for x in self.aggregates})}

    def among_best(self, column: str, label: str) -> bool:
        """Whether a row is `not_worse` than the best of a column, a dataset's or `AGGREGATE`;
        False where all rows are, since that says nothing."""
        scored = self.aggregates if column == AGGREGATE else self.scored(column)
        best = self.not_worse[column]
        return label in best and len(best) < len(scored)

    def scored(self, dataset: str) -> list[Row]:
        """The rows whose every seed has finished a dataset."""
        return [row for row in self.rows if row.entry(dataset).complete]

    def told_apart(self, x: str, y: str) -> bool:
        """Whether two rows' means over the common datasets differ: Welch's test at 5 %."""
        found = stats.difference_of_moments(self._moments[x], self._moments[y])
        return found.p_value < stats.ALPHA

    @cached_property
    def _moments(self) -> dict[str, stats.Moments]:
        return {label: stats.moments(self._scores(label)) for label in self.aggregates}

    @property
    def runs(self) -> list[RunSummary]:
        """Every finished run that is not stale."""
        return [
            run for row in self.rows for dataset in self.datasets for run in row.entry(dataset).runs
        ]

    def record(self, run: RunSummary) -> Result:
        """The full record of a run.

        Raises:
            ZooError: it is gone or damaged.
        """
        found = self.store.read(run.name)
        if isinstance(found, Damaged):
            raise ZooError(str(found))
        return found

    def scores(self) -> pd.DataFrame:
        """One line a run: its cell, score, columns, returns, times and state, as pandas data."""
        import pandas as pd

        lines: list[dict[str, Any]] = []
        for row in self.rows:
            for dataset in self.datasets:
                entry = row.entry(dataset)
                cell = {
                    "row": row.label,
                    "algorithm": row.algorithm,
                    "variant": row.variant,
                    "dataset": dataset,
                }
                for seed, run in sorted(entry.finished.items()):
                    lines.append({**cell, **_line(seed, "finished", "", run)})
                for seed, (run, why) in sorted(entry.stale.items()):
                    lines.append({**cell, **_line(seed, "stale", why, run)})
                for seed, run in sorted(entry.failed.items()):
                    lines.append({**cell, **_line(seed, "failed", run.reason, run)})
                for seed, reason in sorted(entry.damaged.items()):
                    lines.append({**cell, **_line(seed, "damaged", reason)})
                for seed in sorted(entry.missing):
                    lines.append({**cell, **_line(seed, "missing", "")})
        return pd.DataFrame(lines, columns=[*_CELL_COLUMNS, *_LINE_COLUMNS])

    def curves(self) -> pd.DataFrame:
        """One line an evaluation of a finished run: row, dataset, seed, step and score."""
        import pandas as pd

        lines = [
            (run.place.row, run.place.algorithm, run.place.dataset, run.seed, *point)
            for run in self.runs
            for point in run.curve
        ]
        columns = ["row", "algorithm", "dataset", "seed", "step", "score"]
        return pd.DataFrame(lines, columns=columns)

    def table(self, format: str = "markdown") -> str:
        """The board as text: `markdown`, `csv`, `latex` or `json`."""
        from zoo_leaderboard.report import tables

        return tables.render(self, format)

    def published(self, format: str = "markdown") -> str:
        """Our scores next to published ones, as text: `markdown`, `csv` or `json`."""
        from zoo_leaderboard.report import comparison

        return comparison.render(self, format)

    def plot(self, path: Path | str, kind: str = "curves") -> Path:
        """Writes a figure, one of `report.plots.KINDS`; the ending chooses the format."""
        from zoo_leaderboard.report import plots

        return plots.draw(self, Path(path), kind)


_CELL_COLUMNS = ("row", "algorithm", "variant", "dataset")
_RUN_COLUMNS = {
    "score": "score",
    "mean_of_last_3": "last",
    "best_over_time": "best",
    "episode_return": "episode_return",
    "steps": "total_steps",
    "training_seconds": "seconds_training",
    "evaluation_seconds": "seconds_evaluation",
    "wall_seconds": "wall_seconds",
    "updates_per_second": "updates_per_second",
    "parameters": "parameters",
    "peak_memory": "peak_memory",
    "tuning_evaluations": "tuning_evaluations",
    "alarm": "alarm",
    "key": "key",
}
"""The names of a summary's numbers in `Board.scores`."""
_LINE_COLUMNS = ("seed", "state", "reason", *_RUN_COLUMNS)


def _line(seed: int, state: str, reason: str, run: RunSummary | None = None) -> dict[str, Any]:
    line: dict[str, Any] = {"seed": seed, "state": state, "reason": reason}
    if run is not None:
        line |= {column: getattr(run, field) for column, field in _RUN_COLUMNS.items()}
    return line
