"""What the page of a cell shows: its runs, and what they have in common, said once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo_core.show import value_text
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.rows import Row
from zoo_leaderboard.board.summary import Details, RunSummary
from zoo_leaderboard.report.page.about import About
from zoo_leaderboard.report.page.charts import Chart, Kind, chart, mean_curve
from zoo_leaderboard.report.page.texts import numbers
from zoo_leaderboard.result import Evaluation, Result
from zoo_leaderboard.stats import mean

MOST_CURVES = 60
"""Beyond so many runs their common chart shows the mean alone."""


@dataclass(frozen=True)
class Run:
    """A finished, failed or stale run with its record."""

    state: str
    summary: RunSummary
    details: Details
    record: Result | None
    """None where the file is gone or damaged since."""
    note: str
    """Why it failed or is stale."""
    chart: Chart | None

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.summary.seed

    @property
    def evaluations(self) -> list[tuple[Evaluation, float]]:
        """Every evaluation of the headline with its score."""
        if self.record is None:
            return []
        return [
            (e, self.summary.scored(e.mean_return))
            for e in self.record.evaluations
            if e.act == self.record.act
        ]

    @property
    def traceback(self) -> str:
        """Of a failure."""
        failure = self.record.failure if self.record else None
        return failure.traceback if failure else ""


@dataclass(frozen=True)
class Shared:
    """Values that some runs have in common."""

    seeds: str
    """Of the runs; empty where it is all of them."""
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """One setting of a run."""

    path: str
    value: str
    default: str
    origin: str
    """Where a value other than the default is from; empty for a default."""
    chosen: bool
    """Whether somebody set it; else it is the default or follows from others."""


@dataclass(frozen=True)
class Spread:
    """A number over the finished runs."""

    group: str
    name: str
    mean: float
    low: float
    high: float


def runs_of(board: Board, row: Row, dataset: str) -> list[Run]:
    """The runs of a cell with their records, in the order of their seeds."""
    entry = row.entry(dataset)
    normalised = board.references.get(dataset) is not None
    found = [("finished", run, "") for run in entry.finished.values()]
    found += [("failed", run, run.reason) for run in entry.failed.values()]
    found += [("stale", run, why) for run, why in entry.stale.values()]
    records = dict(board.store.read_all([run.name for _, run, _ in found]))

    def made(state: str, run: RunSummary, note: str) -> Run:
        record, details = records.get(run.name), run.details
        curves = [(_kind(state), details.curve)]
        curve = chart(curves, normalised=normalised, name=f"seed {run.seed}")
        return Run(state, run, details, record if isinstance(record, Result) else None, note, curve)

    return [made(*item) for item in sorted(found, key=lambda item: item[1].seed)]


def _kind(state: str) -> Kind:
    return "stale" if state == "stale" else "run"


def together(runs: Iterable[Run], normalised: bool) -> Chart | None:
    """The curves of all runs in one chart, with the mean of those that hold."""
    holding = [run.details.curve for run in runs if run.state == "finished"]
    stale = [run.details.curve for run in runs if run.state == "stale"]
    curves: list[tuple[Kind, Any]] = []
    if len(holding) + len(stale) <= MOST_CURVES:
        curves = [("stale", curve) for curve in stale] + [("run", curve) for curve in holding]
    if len(holding) > 1:
        curves.append(("mean", mean_curve(holding)))
    count = len(holding) or len(stale)
    return chart(curves, normalised=normalised, name=f"{count} runs" if count > 1 else "1 run")


def shared(runs: Iterable[Run], of: str) -> list[Shared]:
    """The runs grouped by equal values, the largest group first.

    Args:
        runs: Those without a record are left out.
        of: `config` or `sources` of the ingredients; `machine` or `versions`.
    """
    groups: dict[str, tuple[list[int], Mapping[str, Any]]] = {}
    known = [run for run in runs if run.record is not None]
    for run in known:
        assert run.record is not None
        owner = run.record.ingredients if of in {"config", "sources"} else run.record
        values: Mapping[str, Any] = getattr(owner, of)
        groups.setdefault(json.dumps(values, sort_keys=True), ([], values))[0].append(run.seed)
    ordered = sorted(groups.values(), key=lambda group: (-len(group[0]), group[0]))
    return [
        Shared("" if len(ordered) == 1 else numbers(seeds), values) for seeds, values in ordered
    ]


def settings_of(
    config: Mapping[str, Any], about: About, row: Row, track: Mapping[str, Any]
) -> list[Setting]:
    """Every setting with its default and, where it is another, whose doing that is."""
    found = []
    for path, value in config.items():
        origin = _origin(path, value, about, row, track)
        default = value_text(about.defaults[path]) if path in about.defaults else ""
        found.append(Setting(path, value_text(value), default, origin, origin not in {"", FOLLOWS}))
    return found


FOLLOWS = "follows from another setting"


def _origin(path: str, value: Any, about: About, row: Row, track: Mapping[str, Any]) -> str:
    if path in row.settings:
        return "set by hand"
    if not about.defaults or about.defaults.get(path, ...) == value:
        return ""
    if path in track:
        return "the track"
    if row.variant == "tuned" and about.spec and any(path in v for v in about.spec.tuned.values()):
        return "the paper's tuning"
    return FOLLOWS if path in about.defaults else "no such setting now"


def spreads(runs: Iterable[Run]) -> list[Spread]:
    """The last metrics of the training and the last diagnostics over the finished runs."""
    values: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        if run.state == "finished":
            for stage, metrics in run.details.metrics.items():
                for name, value in metrics.items():
                    values.setdefault((f"stage {stage}", name), []).append(value)
            for name, value in run.details.diagnostics.items():
                values.setdefault(("diagnostics", name.replace("_", " ")), []).append(value)
    return [_spread(group, name, found) for (group, name), found in values.items()]


def acts_of(runs: Iterable[Run]) -> list[Spread]:
    """The score of every way of acting at the last step over the finished runs."""
    values: dict[str, list[float]] = {}
    for run in runs:
        if run.state == "finished":
            for name, score in run.details.acts.items():
                values.setdefault(name, []).append(score)
    return [_spread("", name, found) for name, found in values.items()]


def _spread(group: str, name: str, values: list[float]) -> Spread:
    return Spread(group, name, mean(values), min(values), max(values))
