"""The command that makes results again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from zoo_core.config import parse_value
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.rows import Entry, Row
from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.report.page.texts import numbers


def command(board: Board, source: str, row: Row | None = None, dataset: str | None = None) -> str:
    """`zoo leaderboard run` for a track, a row of it, or a cell of it; for a shell.

    Args:
        board: Of the track.
        source: The track's name, or the name of its file.
        row: None for all rows.
        dataset: None for all of the row.
    """
    words = ["zoo", "leaderboard", "run", "--track", source]
    if row is None:
        return shlex.join(words)
    words += ["--algorithm", row.algorithm]
    datasets = [dataset] if dataset else [d for d in board.datasets if row.entry(d).expected]
    if set(datasets) != set(board.track.dataset_ids()):
        words += [word for d in datasets for word in ("--dataset", d)]
    if board.track.variants != (row.variant,):
        words += ["--variant", row.variant]
    for path, value in sorted(row.settings.items()):
        words += ["--set", f"{path}={_value(value)}"]
    entries = [row.entry(d) for d in datasets]
    words += ["--seeds", numbers(seed for entry in entries for seed in _seeds(entry))]
    words += _place([run for entry in entries for run in list(entry.finished.values())[:1]])
    return shlex.join(words)


def _seeds(entry: Entry) -> set[int]:
    return {*entry.finished, *entry.failed, *entry.stale, *entry.damaged, *entry.missing}


def _value(value: Any) -> str:
    """A setting's value so that the command line reads the same one."""
    if isinstance(value, str) and parse_value(value) == value:
        return value
    return json.dumps(value)


def _place(runs: Sequence[RunSummary]) -> list[str]:
    """The device and threads of the runs, where they are all the same and not the defaults."""
    words: list[str] = []
    machines = [run.machine for run in runs]
    for option, default in (("device", "cpu"), ("threads", "1")):
        found = {machine.get(option, default) for machine in machines}
        if len(found) == 1 and found != {default}:
            words += [f"--{option}", *found]
    return words
