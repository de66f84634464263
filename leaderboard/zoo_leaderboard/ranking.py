"""Plan and run in one call: `zoo leaderboard run` and `zoo_leaderboard.run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo_core import registry
from zoo_leaderboard.planning import Tell, plan
from zoo_leaderboard.result import Variant
from zoo_leaderboard.reviewing import Planned, review
from zoo_leaderboard.running.limits import RETRIES, UNLIMITED, Limits
from zoo_leaderboard.running.memory import parse_size
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.running.runner import Engine, Summary, run_planned
from zoo_leaderboard.running.tracking import chosen
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track, load_track


def prepare(
    track: Track | Path | str = "demo",
    *,
    algorithms: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    variants: Sequence[Variant] = (),
    store: Store | Path | str | None = None,
    device: str = "cpu",
    threads: int = 1,
    trackers: Sequence[str] = (),
    tell: Tell = lambda line: None,
) -> list[Planned]:
    """The plan of a track and what the store has of it; changes nothing.

    See `run` for the arguments.
    """
    told = {"trackers": chosen(trackers, registry.installed())}
    loaded = track if isinstance(track, Track) else load_track(track)
    jobs = plan(
        loaded,
        algorithms=algorithms,
        datasets=datasets,
        seeds=seeds,
        settings=settings,
        variants=variants,
        device=device,
        threads=threads,
        tell=tell,
    )
    jobs = [job.model_copy(update=told) for job in jobs]
    store = store if isinstance(store, Store) else Store(store)
    for problem in store.plans.read(loaded.name).damaged:
        tell(str(problem))
    return review(jobs, store)


def carry_out(
    planned: Sequence[Planned],
    store: Store,
    display: Display,
    *,
    workers: int | None = None,
    retry_failed: bool = False,
    limits: Limits = UNLIMITED,
    engine: Engine | None = None,
) -> Summary:
    """Notes the plan in the store, so that what is missing is known, and runs it.

    Raises:
        ZooError: the store cannot be written, or not by other processes.
    """
    store.check_shared()
    store.check_writable()
    for track in {p.job.track for p in planned}:
        store.remember(track, {p.job.cell: p.job.key for p in planned if p.job.track == track})
    return run_planned(
        planned,
        store,
        display,
        workers=workers,
        retry_failed=retry_failed,
        limits=limits,
        engine=engine,
    )


def run(
    track: Track | Path | str = "demo",
    *,
    algorithms: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    variants: Sequence[Variant] = (),
    store: Store | Path | str | None = None,
    device: str = "cpu",
    threads: int = 1,
    workers: int | None = None,
    retry_failed: bool = False,
    time_limit: float | None = None,
    memory_limit: int | str | None = None,
    retries: int = RETRIES,
    trackers: Sequence[str] = (),
    engine: Engine | None = None,
    display: Display | None = None,
    tell: Tell = lambda line: None,
) -> Summary:
    """Runs what a store lacks of a track, each job in a process of its own.

    Args:
        track: A track, its name, or the path of its file.
        algorithms: Names; none for every installed one.
        datasets: Ids or expressions; none for the track's.
        seeds: None for the track's.
        settings: Changes by path for every algorithm; they make rows of their own.
        variants: `default`, `tuned` or both; none for the track's.
        store: A store or its folder; none for `$ZOO_RUNS`, else `runs`.
        device: Where the jobs train.
        threads: Of each job.
        workers: Jobs at a time; none for as many as fit the cores.
        retry_failed: Whether failed and damaged cells are run again.
        time_limit: Seconds a job may take in this run.
        memory_limit: Bytes, or a size such as `4GiB`, that a job and what it starts may hold.
        retries: How often a job whose process is killed from outside starts again within the run.
        trackers: Names of those that take the jobs' curves, such as `tensorboard`.
        engine: Who runs the jobs, such as `zoo_leaderboard.Ray("auto")`; none for processes of this
            machine.
        display: Told of the progress; none for silence.
        tell: Told of datasets that are built or fetched, and of the track's that cannot be had.

    Raises:
        ZooError: unknown names, bad values, or a store that cannot be written. A job's own
            failure is in the summary and in its record, and raises nothing.
    """
    memory = parse_size(memory_limit) if isinstance(memory_limit, str) else memory_limit
    limits = Limits(time_limit, memory, retries)
    store = store if isinstance(store, Store) else Store(store)
    planned = prepare(
        track,
        algorithms=algorithms,
        datasets=datasets,
        seeds=seeds,
        settings=settings,
        variants=variants,
        store=store,
        device=device,
        threads=threads,
        trackers=trackers,
        tell=tell,
    )
    return carry_out(
        planned,
        store,
        display or Display(),
        workers=workers,
        retry_failed=retry_failed,
        limits=limits,
        engine=engine,
    )
