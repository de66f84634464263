"""One scale per column: the reference scores by which a board scores every run of a dataset."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.planning import Planner
from zoo_leaderboard.result import ReferenceScores
from zoo_leaderboard.running.run import reference_of

References = Mapping[str, ReferenceScores | None]
"""Reference scores by dataset; None if the dataset has none and its scores are raw returns."""


@dataclass
class Scales:
    """The reference scores of a board's columns, and which records have others."""

    of: dict[str, ReferenceScores | None] = field(default_factory=dict)
    """Reference scores of every dataset with a finished run."""
    others: dict[str, Counter[str]] = field(default_factory=dict)
    """Number of runs recorded with other reference scores, by dataset."""

    def notes(self) -> list[str]:
        """One line for every dataset whose records disagree with its column."""
        return [
            f"{dataset}: runs recorded with other reference scores ({_counted(others)}) are scored "
            "by the column's."
            for dataset, others in sorted(self.others.items())
        ]


def column_references(runs: Sequence[RunSummary], planner: Planner, given: References) -> Scales:
    """The reference scores of each dataset: the given ones, else the current ones of a dataset that
    is available locally, else those of the newest record."""
    finished: defaultdict[str, dict[str, RunSummary]] = defaultdict(dict)
    for run in runs:
        if run.status == "finished":
            # A run that is part of several rows counts once.
            finished[run.place.dataset][run.name] = run
    scales = Scales()
    for dataset, by_name in finished.items():
        own = list(by_name.values())
        scales.of[dataset] = _reference(dataset, own, planner, given)
        ends = _ends(scales.of[dataset])
        others = Counter(_ends(run.reference) for run in own if _ends(run.reference) != ends)
        if others:
            scales.others[dataset] = others
    return scales


def _reference(
    dataset: str, runs: Sequence[RunSummary], planner: Planner, given: References
) -> ReferenceScores | None:
    if dataset in given:
        return given[dataset]
    present = planner.of_local(dataset, lambda found: (reference_of(found),))
    if present is not None:
        return present[0]
    return max(runs, key=lambda run: (run.finished_at, run.key)).reference


def _ends(reference: ReferenceScores | None) -> str:
    return "none" if reference is None else f"{reference.min:g} to {reference.max:g}"


def _counted(others: Counter[str]) -> str:
    return ", ".join(f"{count} with {ends}" for ends, count in sorted(others.items()))
