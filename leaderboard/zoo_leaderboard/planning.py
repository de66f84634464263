"""Which runs there should be: algorithm x variant x dataset x seed, each with its key.

A plan is data. Nothing here trains, and a job holds all that another process or host needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from pydantic import Field

from zoo_core import registry as registry_module
from zoo_core.config import parse_assignments
from zoo_core.errors import BrokenPlugin, UnknownName, ZooError
from zoo_core.recipe import Recipe, resolve, tuned_values, tuning_evaluations
from zoo_core.registry import Registry
from zoo_core.version import SEMANTICS
from zoo_leaderboard import datasets
from zoo_leaderboard.causes import by_cause, named
from zoo_leaderboard.datasets import embedded, expression
from zoo_leaderboard.datasets.locate import local_ids
from zoo_leaderboard.fingerprint import canonical, digest_of_text, sources
from zoo_leaderboard.result import (
    NO_ENVIRONMENT,
    SINGLE,
    Cell,
    Ingredients,
    Protocol,
    Record,
    RunId,
    Variant,
)
from zoo_leaderboard.store.files import one_line
from zoo_leaderboard.track import Track, Values

T = TypeVar("T")
Tell = Callable[[str], None]
"""Takes a line for the user."""


class Job(Record):
    """One run to be made: a process's whole assignment."""

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
    """The names of those that take its curves."""

    @property
    def run(self) -> RunId:
        """What it runs: the same for cells of rows with equal settings."""
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


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds such as `3`, `0-4` or `0,2,5-7`, in order, each once.

    Raises:
        ZooError: text of another form.
    """
    seeds: list[int] = []
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", item)
        if match is None:
            raise ZooError(f"seeds '{text}' are not of a form such as 3, 0-4 or 0,2,5-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ZooError(f"seeds '{text}': {first}-{last} runs backwards")
        if last - first > 100_000 or last >= 2**31:
            raise ZooError(f"seeds '{text}': too many or too large")
        seeds += range(first, last + 1)
    return tuple(dict.fromkeys(seeds))


class Planner:
    """Makes jobs; remembers what is the same for all seeds.

    Args:
        track: Datasets, protocol and budgets.
        registry: What is registered; none for the installed plugins.
        tell: Told of what takes its time.
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
        """What is registered; plugins are loaded when it is first asked for."""
        return self._registry or registry_module.installed()

    def dataset(self, name: str) -> datasets.Dataset:
        """The dataset of an id or expression, built or fetched where needed.

        Raises:
            ZooError: it is unknown or cannot be had.
        """
        if name not in self._datasets:
            if name in embedded.IDS and not self.at_hand(name):
                self.tell(f"building the dataset {name}, once")
            self._datasets[name] = datasets.find(name)
        return self._datasets[name]

    def at_hand(self, name: str) -> bool:
        """Whether the dataset is on this machine, so that asking for it builds and fetches
        nothing."""
        if self._here is None:
            self._here = set(local_ids())
        try:
            return all(term.id in self._here for term in expression.parse(name).terms)
        except ZooError:
            return False

    def of_local(self, name: str, ask: Callable[[datasets.Dataset], T]) -> T | None:
        """What a dataset on this machine says; None where it is not here, or cannot be read, which
        is reported once."""
        if name in self._unreadable or not self.at_hand(name):
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
        """All that decides the outcome of a cell's run, now."""
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
        """Training runs on the cell's dataset that the search for its settings spent: the paper's
        for its tuned values and the track's for its own. None where either is not known, and for
        settings made by hand."""
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


_NO_SEED = "in place of the seed"
_SEED = f'"seed":"{_NO_SEED}"'


def plan(
    track: Track,
    *,
    algorithms: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    variants: Sequence[Variant] = (),
    device: str = "cpu",
    threads: int = 1,
    registry: Registry | None = None,
    tell: Tell = lambda line: None,
) -> list[Job]:
    """Every job that was asked for, seed by seed, so that all rows grow evenly.

    Args:
        track: Datasets, protocol and budgets.
        algorithms: Names; none for every installed one.
        datasets: Ids or expressions, of the track or not; none for the track's.
        seeds: None for the track's.
        settings: Changes by path for every algorithm that has the path; they make rows of their
            own.
        variants: None for the track's. `tuned` is left out where an algorithm has no values for
            the dataset.
        device: Where the jobs train.
        threads: Of each job.
        registry: What is registered; none for the installed plugins.
        tell: Told of datasets that are built or fetched, and of the track's that cannot be had.

    Raises:
        ZooError: an unknown name, a bad value, or nothing to run.
    """
    planner = Planner(track, registry, tell)
    names = list(dict.fromkeys(algorithms)) or sorted(planner.registry.algorithms)
    if not names:
        raise ZooError("no algorithm is installed; install a plugin such as zoo-bc")
    changes = parse_assignments(settings)
    for name in names:
        planner.registry.algorithm(name)
    # The canonical form, so that `A + B` and `A+B` are one column.
    asked = [str(expression.parse(text)) for text in datasets]
    wanted = list(dict.fromkeys(asked)) or _obtainable(planner)
    cells: list[Cell] = []
    for name in names:
        spec = planner.registry.algorithm(name)
        for dataset in wanted:
            for variant in dict.fromkeys(variants or track.variants):
                if variant == "tuned" and not tuned_values(spec, dataset):
                    continue
                cells.append(
                    Cell(algorithm=name, variant=variant, settings=changes, dataset=dataset, seed=0)
                )
    if not cells:
        raise ZooError(
            f"nothing to run: {', '.join(names)} have no tuned values for these datasets"
        )
    # Bad settings are refused before a dataset is built or fetched.
    cells = _fitted(planner, cells, changes, None if algorithms else tell)
    for dataset in asked:
        _check_environment(planner.dataset(dataset))
    numbers = tuple(dict.fromkeys(track.seeds if seeds is None else seeds))
    return [
        planner.job(cell.model_copy(update={"seed": seed}), device, threads)
        for seed in numbers
        for cell in cells
    ]


def _fitted(
    planner: Planner,
    cells: list[Cell],
    changes: Mapping[str, Any],
    tell: Tell | None,
) -> list[Cell]:
    """The cells with the changes that their algorithm has a path for.

    Raises:
        UnknownName: no algorithm has the path.
        ZooError: a bad value, or a broken plugin that was asked for by name (`tell` is None).
    """
    fitted: list[Cell] = []
    broken: set[str] = set()
    unknown: dict[str, UnknownName] = {}
    for cell in cells:
        own = dict(cell.settings)
        while cell.algorithm not in broken:
            try:
                planner.resolved(cell.model_copy(update={"settings": own}))
            except UnknownName as error:
                if error.name not in own:
                    raise
                unknown[error.name] = error
                del own[error.name]
            except BrokenPlugin as error:
                if tell is None:
                    raise
                tell(f"left out: {error}")
                broken.add(cell.algorithm)
            else:
                fitted.append(cell.model_copy(update={"settings": own}))
                break
    used = {path for cell in fitted for path in cell.settings}
    for path in changes:
        if path not in used and path in unknown:
            raise unknown[path]
    if not fitted:
        raise ZooError("nothing to run: every algorithm's plugin is broken; see 'zoo check NAME'")
    return fitted


def _obtainable(planner: Planner) -> list[str]:
    """The track's datasets that are here or can be fetched."""
    found: list[str] = []
    problems: list[tuple[str, str]] = []
    for name in planner.track.dataset_ids():
        try:
            _check_environment(planner.dataset(name))
        except UnknownName:
            raise
        except ZooError as error:
            problems.append((name, str(error)))
            continue
        found.append(name)
    lines = [_left_out(names, problem) for names, problem in by_cause(problems, _parts)]
    if not found and len(lines) <= 1:
        text = lines[0] if lines else "it has none"
        raise ZooError(f"no dataset of track '{planner.track.name}' is available: {text}")
    for line in lines:
        planner.tell(f"left out: {line}")
    if not found:
        raise ZooError(f"no dataset of track '{planner.track.name}' is available")
    return found


def _parts(dataset: str) -> list[str]:
    """The names by which a problem may call a dataset: a sum's is that of a member."""
    return [dataset, *(term.id for term in expression.parse(dataset).terms)]


def _left_out(names: Sequence[str], problem: str) -> str:
    """One cause; the text of the first dataset stands for all."""
    if len(names) == 1:
        return problem
    return f"{len(names)} datasets ({named(names)}), the first because: {problem}"


def _check_environment(dataset: datasets.Dataset) -> None:
    if dataset.environment is None:
        raise ZooError(
            f"dataset '{dataset.name}' has no environment, so nothing on it can be ranked; "
            f"'zoo train ALGORITHM {dataset.name}' trains on it and reports held-out errors"
        )


def why_stale(was: Ingredients, cell: Cell, planner: Planner) -> str:
    """What changed since a result was made, in a few words; empty where it still holds.

    Only what can be checked here counts: of an algorithm that is not installed, or a dataset that
    is not on this machine or cannot be read, nothing is said.

    Args:
        was: What the result was made from.
        cell: Where it stands.
        planner: Knows the track and the installed code.
    """
    if cell.algorithm not in planner.registry.algorithms:
        return ""
    try:
        recipe, code = planner.resolved(cell)
    except ZooError as error:
        return str(error)
    now = was.model_copy(
        update={
            "sources": code,
            "semantics": SEMANTICS,
            "config": recipe.values(),
            "protocol": planner.track.protocol,
        }
    )
    dataset = planner.of_local(
        cell.dataset,
        lambda found: {
            "dataset_digest": found.data.digest,
            "environment": environment_of(found),
        },
    )
    return "; ".join(was.differences(now.model_copy(update=dataset or {})))


def environment_of(dataset: datasets.Dataset) -> str:
    """The environment as part of a key: its id with version, its arguments and time limit."""
    return dataset.environment.identity if dataset.environment else NO_ENVIRONMENT


def single(
    algorithm: str,
    dataset: str,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    tuned: bool = False,
    protocol: Protocol | None = None,
    device: str = "cpu",
    threads: int = 1,
    registry: Registry | None = None,
) -> Job:
    """The job of one run outside of any track, at the algorithm's own budget."""
    track = Track(name=SINGLE, summary="", datasets=(), protocol=protocol or Protocol())
    cell = Cell(
        algorithm=algorithm,
        variant="tuned" if tuned else "default",
        settings=parse_assignments(settings),
        dataset=str(expression.parse(dataset)),
        seed=seed,
    )
    planner = Planner(track, registry)
    planner.resolved(cell)
    return planner.job(cell, device, threads)
