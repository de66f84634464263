"""Groups the runs of a row on a dataset by code, data, settings and protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zoo_leaderboard.board.summary import RunSummary
from zoo_leaderboard.planning import Planner, why_stale
from zoo_leaderboard.result import Cell, Ingredients
from zoo_leaderboard.store import Damaged, Store


class Conditions:
    """Separates the current runs of a cell from the stale ones.

    Runs that the installed code contradicts are stale. Among the others, the runs of one condition
    are current: that of the newest planned run, else of the newest run.

    Args:
        store: The store that holds the records.
        planner: Planner of the installed code. If None, runs are not compared with it.
        planned: The requested cells, with their keys.
    """

    def __init__(self, store: Store, planner: Planner | None, planned: Mapping[Cell, str]) -> None:
        self.store, self.planner, self.planned = store, planner, planned
        self._ingredients: dict[str, Ingredients | Damaged] = {}

    def judged(self, runs: Sequence[RunSummary]) -> Iterator[tuple[RunSummary, str]]:
        """The runs of a row on a dataset, oldest first, each with the reason why it is stale; empty
        if it is current."""
        stale = {run.conditions: self._why_stale(run) for run in _one_of_each(runs)}
        holding = [run for run in runs if not stale[run.conditions]]
        kept = self._kept(holding)
        for run in sorted(runs, key=lambda run: run.finished_at):
            why = stale[run.conditions]
            if not why and kept is not None and run.conditions != kept.conditions:
                why = stale[run.conditions] = self._difference(run, kept)
            yield run, why

    def _kept(self, holding: Sequence[RunSummary]) -> RunSummary | None:
        """A run of the current condition."""
        if len(_one_of_each(holding)) < 2:
            return next(iter(holding), None)
        asked = [run for run in holding if self.planned.get(run.cell) == run.key]
        return max(asked or holding, key=lambda run: (run.finished_at, run.key))

    def _why_stale(self, run: RunSummary) -> str:
        if self.planner is None:
            return ""
        was = self._made_from(run)
        return str(was) if isinstance(was, Damaged) else why_stale(was, run.place, self.planner)

    def _difference(self, run: RunSummary, kept: RunSummary) -> str:
        was, now = self._made_from(run), self._made_from(kept)
        if isinstance(was, Damaged) or isinstance(now, Damaged):
            return "other conditions than the other runs'"
        differences = [text for text in was.differences(now) if text != "seed"]
        return f"other conditions than the other runs': {'; '.join(differences[:3])}"

    def _made_from(self, run: RunSummary) -> Ingredients | Damaged:
        if run.conditions not in self._ingredients:
            record = self.store.read(run.name)
            known = record if isinstance(record, Damaged) else record.ingredients
            self._ingredients[run.conditions] = known
        return self._ingredients[run.conditions]


def _one_of_each(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """One run of each condition."""
    return list({run.conditions: run for run in runs}.values())
