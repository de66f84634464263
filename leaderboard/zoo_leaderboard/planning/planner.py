"""Jobs of a track's cells, with their keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from zoo_core import registry as registry_module
from zoo_core.errors import ZooError
from zoo_core.recipe import Recipe, resolve, tuning_evaluations
from zoo_core.registry import Registry
from zoo_core.version import SEMANTICS
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import embedded, expression
from zoo_leaderboard.datasets.locate import local_ids
from zoo_leaderboard.fingerprint import canonical, digest_of_text, sources
from zoo_leaderboard.planning.job import Job
from zoo_leaderboard.result import NO_ENVIRONMENT, Cell, Ingredients
from zoo_leaderboard.store.files import one_line
from zoo_leaderboard.track import Track

T = TypeVar("T")
Tell = Callable[[str], None]
"""Takes a line for the user."""

_NO_SEED = "in place of the seed"
_SEED = f'"seed":"{_NO_SEED}"'


class Planner:
    """Creates jobs; remembers what is the same for all seeds.

    Args:
        track: Datasets, protocol and budgets.
        registry: Registered plugins. If None, the installed ones.
        tell: Called with a line before anything that takes long.
    """

    def __init__(
        self, track: Track, registry: Registry | None = None, tell: Tell = lambda line: None
    ) -> None:
        self.track = track
        self.tell = tell
        self._registry = registry
        self._recipes: dict[str, tuple[Recipe, dict[str, str]]] = {}
        self._datasets: dict[str, datasets.Dataset] = {}
        self._jobs: dict[tuple[str, str, str, int], tuple[Job, str]] = {}
        self._here: set[str] | None = None
        self._unreadable: set[str] = set()

    @cached_property
    def registry(self) -> Registry:
        """The registered plugins, loaded at the first use."""
        return self._registry or registry_module.installed()

    def dataset(self, name: str) -> datasets.Dataset:
        """The dataset of an id or expression, built or fetched where needed.

        Raises:
            ZooError: it is unknown or not available.
        """
        if name not in self._datasets:
            if name in embedded.IDS and not self.is_local(name):
                self.tell(f"building the dataset {name}, once")
            self._datasets[name] = datasets.find(name)
        return self._datasets[name]

    def is_local(self, name: str) -> bool:
        """Whether the dataset is on this machine, so that asking for it builds and fetches
        nothing."""
        if self._here is None:
            self._here = set(local_ids())
        try:
            return all(term.id in self._here for term in expression.parse(name).terms)
        except ZooError:
            return False

    def of_local(self, name: str, ask: Callable[[datasets.Dataset], T]) -> T | None:
        """Calls `ask` with a local dataset. None if it is not local or cannot be read, which is
        reported once."""
        if name in self._unreadable or not self.is_local(name):
            return None
        try:
            return ask(self.dataset(name))
        except Exception as error:
            # Whatever damaged files raise: one of them must not stop the others.
            self._unreadable.add(name)
            self.tell(f"{name} cannot be read, and its results are not checked: {one_line(error)}")
            return None

    def resolved(self, cell: Cell) -> tuple[Recipe, dict[str, str]]:
        """The recipe of a cell and the hashes of its code.

        Raises:
            ZooError: an unknown algorithm or path, or a value out of its range.
        """
        key = f"{cell.row}\n{cell.dataset}"
        if key not in self._recipes:
            recipe = resolve(
                cell.algorithm,
                cell.settings,
                defaults=self.track.values(cell.algorithm, cell.dataset),
                dataset=cell.dataset,
                tuned=cell.variant == "tuned",
                registry=self.registry,
            )
            self._recipes[key] = recipe, sources(recipe, self.registry)
        return self._recipes[key]

    def ingredients(self, cell: Cell) -> Ingredients:
        """Everything that decides the outcome of a cell's run, as it is now."""
        recipe, code = self.resolved(cell)
        dataset = self.dataset(cell.dataset)
        return Ingredients(
            sources=code,
            semantics=SEMANTICS,
            config=recipe.values(),
            dataset=dataset.name,
            dataset_digest=dataset.data.digest,
            environment=environment_of(dataset),
            protocol=self.track.protocol,
            seed=cell.seed,
        )

    def tuning_evaluations(self, cell: Cell) -> int | None:
        """Number of training runs on the cell's dataset that the search for its settings used.

        The paper's search counts for tuned values, the track's for its own. None if either is
        unknown or the settings were chosen by hand.
        """
        if cell.settings:
            return None
        spent = self.track.tuned_by(cell.algorithm, cell.dataset)
        if cell.variant == "default" or spent is None:
            return spent
        spec = self.registry.algorithm(cell.algorithm)
        paper = tuning_evaluations(spec, cell.dataset)
        return None if paper is None else spent + paper

    def job(self, cell: Cell, device: str = "cpu", threads: int = 1) -> Job:
        """The job of a cell."""
        place = cell.row, cell.dataset, device, threads
        if place not in self._jobs:
            self._jobs[place] = self._first_job(cell, device, threads)
        job, text = self._jobs[place]
        ingredients = job.ingredients.model_copy(update={"seed": cell.seed})
        key = digest_of_text(text.replace(_SEED, f'"seed":{cell.seed}'))
        return job.model_copy(update={"key": key, "cell": cell, "ingredients": ingredients})

    def _first_job(self, cell: Cell, device: str, threads: int) -> tuple[Job, str]:
        """A job and its ingredients' canonical text, which are the same for all seeds but for
        what `_SEED` stands for."""
        recipe, _ = self.resolved(cell)
        ingredients = self.ingredients(cell)
        text = canonical({**ingredients.model_dump(mode="json"), "seed": _NO_SEED})
        job = Job(
            key="",
            track=self.track.name,
            cell=cell,
            ingredients=ingredients,
            defaults=self.track.values(cell.algorithm, cell.dataset),
            total_steps=recipe.total_steps,
            external=recipe.external,
            tuning_evaluations=self.tuning_evaluations(cell),
            device=device,
            threads=threads,
        )
        return job, text


def environment_of(dataset: datasets.Dataset) -> str:
    """The environment as part of a key: its id with version, its arguments and time limit."""
    return dataset.environment.identity if dataset.environment else NO_ENVIRONMENT
