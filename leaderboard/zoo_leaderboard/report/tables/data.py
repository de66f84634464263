"""The numbers behind a board: JSON and CSV, in full precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo_leaderboard.board.board import AGGREGATE, Aggregate, Board
from zoo_leaderboard.board.rows import Row
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.report.encoding import csv_text, json_text
from zoo_leaderboard.report.tables.sections import acts_of, heading_lines, metrics_of
from zoo_leaderboard.stats import Interval, mean, standard_deviation

_INTERVALS = ("mean", "median", "iqm", "optimality_gap", "rank")


def as_json(board: Board) -> str:
    """Every number behind the table."""
    content = {
        "track": board.track.name,
        "reduced": board.track.reduced,
        "notes": heading_lines(board),
        "protocol": board.protocol.model_dump(),
        "datasets": board.datasets,
        "aggregated_datasets": board.common,
        "not_worse_than_the_best": {
            column: sorted(labels) for column, labels in board.not_worse.items()
        },
        "rows": [_row(row, board) for row in board.rows],
        "damaged": [str(problem) for problem in board.damaged],
    }
    return json_text(content)


def _row(row: Row, board: Board) -> dict[str, Any]:
    found = board.aggregates.get(row.label)
    others = [label for label in board.aggregates if label != row.label] if found else []
    return {
        "row": row.label,
        "algorithm": row.algorithm,
        "variant": row.variant,
        "settings": row.settings,
        "external": row.external,
        "steps": row.steps,
        "tuning_evaluations": _tuning(row.runs),
        "cells": [_cell(row, dataset, board) for dataset in board.datasets],
        "aggregate": found and _aggregate(found),
        "improves_on": {y: _interval(board.improvement(row.label, y)) for y in others},
        "told_apart_from": [y for y in others if board.told_apart(row.label, y)],
    }


def _tuning(runs: list[RunSummary]) -> list[int | None]:
    """The different numbers of training runs that tuning spent, an unknown one first."""
    found = {run.tuning_evaluations for run in runs}
    return sorted(found, key=lambda spent: -1 if spent is None else spent)


def _aggregate(found: Aggregate) -> dict[str, Any]:
    intervals = {name: _interval(getattr(found, name)) for name in _INTERVALS}
    return {**intervals, "mean_of_last_3": found.last, "best_over_time": found.best}


def _interval(interval: Interval) -> dict[str, float | None]:
    low, high = (interval.low, interval.high) if interval.known else (None, None)
    return {"value": interval.value, "low": low, "high": high}


def _cell(row: Row, dataset: str, board: Board) -> dict[str, Any]:
    entry, reference = row.entry(dataset), board.references.get(dataset)
    scores = entry.scores
    return {
        "dataset": dataset,
        "seeds": sorted(entry.finished),
        "expected_seeds": entry.expected,
        "scores": scores,
        "score_mean": mean(scores) if scores else None,
        "score_std": standard_deviation(scores) if len(scores) > 1 else None,
        "mean_of_last_3": entry.mean_of(lambda run: run.last),
        "best_over_time": entry.mean_of(lambda run: run.best),
        "return_mean": entry.mean_of(lambda run: run.episode_return),
        "other_acts": {act: mean(values) for act, values in acts_of(entry).items()},
        "wall_seconds": entry.mean_of(lambda run: run.wall_seconds),
        "updates_per_second": entry.mean_of(lambda run: run.updates_per_second),
        "parameters": entry.mean_of(lambda run: run.parameters),
        "peak_memory": entry.mean_of(lambda run: run.peak_memory),
        "metrics": metrics_of(entry),
        "diagnostics": {str(run.seed): run.diagnostics for run in entry.runs if run.diagnostics},
        "alarms": {str(run.seed): run.alarm for run in entry.runs if run.alarm},
        "failed": {str(seed): run.reason for seed, run in sorted(entry.failed.items())},
        "stale": {
            str(seed): {"score": run.score, "changed": why}
            for seed, (run, why) in sorted(entry.stale.items())
        },
        "damaged": {str(seed): reason for seed, reason in sorted(entry.damaged.items())},
        "missing": sorted(entry.missing),
        "versions": entry.versions_note,
        "reference": reference.model_dump() if reference else None,
    }


_CSV_NUMBERS = (
    *("expected_seeds", "score_mean", "score_std", "mean_of_last_3", "best_over_time"),
    *("return_mean", "wall_seconds", "updates_per_second", "parameters", "peak_memory"),
)
_CSV_COLUMNS = (
    *("row", "algorithm", "variant", "dataset", "state", "seeds", *_CSV_NUMBERS),
    *(f"{name}{end}" for name in _INTERVALS[1:] for end in ("", "_low", "_high")),
    *("score_mean_low", "score_mean_high"),
    *("reference_min", "reference_max", "reference_source"),
    *("steps", "reduced", "external", "tuning_evaluations", "reason"),
)


def as_csv(board: Board) -> str:
    """One line a cell with full precision, then one line a row over the common datasets."""
    return csv_text(_CSV_COLUMNS, _csv_lines(board))


def _csv_lines(board: Board) -> Iterator[dict[str, Any]]:
    for row in board.rows:
        common: dict[str, Any] = {
            "row": row.label,
            "algorithm": row.algorithm,
            "variant": row.variant,
            "reduced": board.track.reduced,
            "external": row.external,
        }
        for dataset in board.datasets:
            yield {**common, **_csv_cell(row, dataset, board)}
        found = board.aggregates.get(row.label)
        if found is not None:
            yield {**common, **_csv_aggregate(found, board)}


def _csv_aggregate(found: Aggregate, board: Board) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for name in _INTERVALS:
        column = "score_mean" if name == "mean" else name
        for end, value in _interval(getattr(found, name)).items():
            numbers[column if end == "value" else f"{column}_{end}"] = value
    return {
        "dataset": AGGREGATE,
        "state": "finished",
        **numbers,
        "mean_of_last_3": found.last,
        "best_over_time": found.best,
        "reason": f"over {', '.join(board.common)}",
    }


def _csv_cell(row: Row, dataset: str, board: Board) -> dict[str, Any]:
    entry, numbers = row.entry(dataset), _cell(row, dataset, board)
    states = {
        "failed": entry.failed,
        "damaged": entry.damaged,
        "stale": entry.stale,
        "missing": entry.missing,
    }
    present = [name for name, seeds in states.items() if seeds]
    reasons = [run.reason for run in entry.failed.values()]
    reasons += entry.damaged.values()
    reasons += [f"stale: {why}" for _, why in entry.stale.values()]
    reasons += [f"alarm: {run.alarm}" for run in entry.runs if run.alarm]
    reasons += [entry.versions_note] if entry.versions_note else []
    tuning = " ".join("unknown" if n is None else str(n) for n in _tuning(entry.runs))
    reference = numbers["reference"] or {}
    return {
        "dataset": dataset,
        "state": "finished" if entry.complete else "+".join(present) or "missing",
        "seeds": len(entry.finished),
        **{name: numbers[name] for name in _CSV_NUMBERS},
        **{f"reference_{name}": value for name, value in reference.items()},
        "steps": " ".join(map(str, sorted({run.total_steps for run in entry.runs}))),
        "tuning_evaluations": tuning,
        "reason": "; ".join(dict.fromkeys(reasons)),
    }
