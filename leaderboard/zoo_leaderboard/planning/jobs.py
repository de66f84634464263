"""Every job of a track, or one run outside of any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo_core.config import parse_assignments
from zoo_core.errors import BrokenPlugin, UnknownName, ZooError
from zoo_core.recipe import tuned_values
from zoo_core.registry import Registry
from zoo_leaderboard.causes import by_cause, named
from zoo_leaderboard.datasets import Dataset, expression
from zoo_leaderboard.planning.job import Job
from zoo_leaderboard.planning.planner import Planner, Tell
from zoo_leaderboard.result import SINGLE, Cell, Protocol, Variant
from zoo_leaderboard.track import Track


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
    """Every requested job, seed by seed, so that all rows grow evenly.

    Args:
        track: Datasets, protocol and budgets.
        algorithms: Names. Default: every installed one.
        datasets: Ids or expressions, of the track or not. Default: the track's.
        seeds: Default: the track's.
        settings: Changes by path for every algorithm that has the path; they make separate rows.
        variants: Default: the track's. `tuned` is left out where an algorithm has no values for
            the dataset.
        device: Device to train on.
        threads: Number of threads per job.
        registry: Registered plugins. If None, the installed ones.
        tell: Called with a line on each dataset that is built, fetched or not available.

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
    """The track's datasets that are local or can be fetched."""
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


def _check_environment(dataset: Dataset) -> None:
    if dataset.environment is None:
        raise ZooError(
            f"dataset '{dataset.name}' has no environment, so nothing on it can be ranked; "
            f"'zoo train ALGORITHM {dataset.name}' trains on it and reports held-out errors"
        )
