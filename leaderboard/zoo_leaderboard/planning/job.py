"""One run to do, as data."""

from __future__ import annotations

from pydantic import Field

from zoo_core.recipe import Recipe, resolve
from zoo_core.registry import Registry
from zoo_leaderboard.result import Cell, Ingredients, Record, RunId
from zoo_leaderboard.track import Values


class Job(Record):
    """One run to do: all that another process or host needs."""

    key: str
    track: str
    cell: Cell
    ingredients: Ingredients
    defaults: Values = Field(default_factory=dict)
    """The track's values by path, which apply where the algorithm has the path."""
    total_steps: int
    external: bool = False
    tuning_evaluations: int | None = None
    """Training runs that the search for the settings spent on the dataset; None: not known."""
    device: str = "cpu"
    threads: int = 1
    trackers: tuple[str, ...] = ()
    """Names of the trackers that receive its curves."""

    @property
    def run(self) -> RunId:
        """The run's identity: the same for cells of rows with equal settings."""
        return self.cell.run(self.key)

    def recipe(self, registry: Registry | None = None) -> Recipe:
        """The algorithm as this job runs it."""
        return resolve(
            self.cell.algorithm,
            self.cell.settings,
            defaults=self.defaults,
            dataset=self.cell.dataset,
            tuned=self.cell.variant == "tuned",
            registry=registry,
        )
