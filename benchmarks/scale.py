"""How plan, store, statistics, table and page do with 100,000 results that nobody computed.

    python benchmarks/scale.py [--algorithms 50] [--datasets 40] [--seeds 50] [--folder PLACE]

Prints seconds and the process's largest memory for each step; every step is a process of its own,
as a user's commands are. The folder is kept where it is named, and then used again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from zoo_leaderboard.fingerprint import digest
from zoo_leaderboard.result import (
    Cell,
    Evaluation,
    Ingredients,
    Measured,
    Protocol,
    ReferenceScores,
    Result,
    Times,
)
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

EVALUATIONS = 10
REFERENCE = ReferenceScores(min=0.0, max=200.0, source="made up")
CONFIG = {f"part{i}.setting{j}": 0.1 * j for i in range(8) for j in range(8)}


def track(datasets: int) -> Track:
    return Track(
        name="scale", summary="made up", datasets=[f"made/up{d}-v0" for d in range(datasets)]
    )


def fill(folder: Path, algorithms: int, datasets: int, seeds: int) -> None:
    """Writes the records; those of a cell differ in their seed, scores and key."""
    store = Store(folder / "runs")
    planned: dict[Cell, str] = {}
    for a in range(algorithms):
        for d in range(datasets):
            generator = random.Random(1000 * a + d)
            level = 100.0 * a / algorithms + generator.gauss(0, 10)
            for seed in range(seeds):
                found = record(f"algorithm{a}", f"made/up{d}-v0", seed, level, generator)
                path = store.path(found.cell, found.key)
                path.parent.mkdir(parents=True, exist_ok=True)
                # Without the store's flush to the disk after each, which would take an hour.
                path.write_text(found.model_dump_json(indent=1))
                planned[found.cell] = found.key
    store.remember("scale", planned)


def record(
    algorithm: str, dataset: str, seed: int, level: float, generator: random.Random
) -> Result:
    ingredients = Ingredients(
        sources={"zoo_core.builtin.td": "0" * 16, algorithm: "1" * 16},
        semantics=1,
        config=CONFIG,
        dataset=dataset,
        dataset_digest="d" * 32,
        environment="Made-v0",
        protocol=Protocol(),
        seed=seed,
    )
    evaluations = []
    for k in range(EVALUATIONS + 1):
        returns = tuple(2 * level * k / EVALUATIONS + generator.gauss(0, 8) for _ in range(10))
        evaluations.append(
            Evaluation(step=1000 * k, act="mode", returns=returns, lengths=(200,) * 10)
        )
    metrics = {f"critic/metric{i}": generator.random() for i in range(6)}
    return Result(
        key=digest([algorithm, dataset, seed]),
        track="scale",
        cell=Cell(algorithm=algorithm, dataset=dataset, seed=seed),
        status="finished",
        ingredients=ingredients,
        total_steps=1000 * EVALUATIONS,
        act="mode",
        evaluations=tuple(evaluations),
        training=tuple(
            Measured(step=1000 * k, stage="train", steps=100, metrics=metrics)
            for k in range(1, EVALUATIONS + 1)
        ),
        reference=REFERENCE,
        score=REFERENCE.normalized(evaluations[-1].mean_return),
        times=Times(training=100.0, evaluation=10.0, setup=2.0, finished_at="2026-01-01T00:00:00"),
        machine={"processor": "made up", "device": "cpu", "threads": "1", "engine": "solo"},
        versions={"python": "3.11", "torch": "2.13.0", "numpy": "2.4"},
        parameters=140_000,
        peak_memory=400 * 2**20,
        tuning_evaluations=0,
    )


def planned(folder: Path, algorithms: int, datasets: int, seeds: int) -> str:
    """Plans as many jobs of copies of an installed algorithm, and looks for them in the store."""
    from dataclasses import replace

    from zoo_core import registry
    from zoo_leaderboard import planning, reviewing
    from zoo_leaderboard.datasets import find

    installed = registry.installed()
    one = installed.algorithm("td3_bc")
    registered = installed.algorithms["td3_bc"]
    for a in range(algorithms):
        name = f"algorithm{a}"
        installed.algorithms[name] = replace(registered, spec=replace(one, name=name))
    embedded = find("zoo/bandit/modes-v0")
    planning.Planner.dataset = lambda planner, name: embedded
    jobs = planning.plan(
        track(datasets),
        algorithms=[f"algorithm{a}" for a in range(algorithms)],
        seeds=range(seeds),
    )
    reviewed = reviewing.review(jobs, Store(folder / "runs"))
    return f"{len(reviewed):,} jobs"


def table(folder: Path, datasets: int, style: str) -> str:
    from zoo_leaderboard.board.loading import load

    board = load(folder / "runs", track(datasets), check=False)
    return f"{len(board.runs):,} runs, {len(board.table(style)):,} characters"


def scores(folder: Path, datasets: int) -> str:
    from zoo_leaderboard.board.loading import load

    return f"{len(load(folder / 'runs', track(datasets), check=False).scores()):,} lines"


def page(folder: Path, datasets: int) -> str:
    from zoo_leaderboard.report.page.publish import publish

    file = folder / "scale.toml"
    file.write_text(
        'name = "scale"\nsummary = "made up"\n'
        f"datasets = {json.dumps(track(datasets).dataset_ids())}\n"
    )
    return str(publish(folder / "site", folder / "runs", [str(file)], workers=os.cpu_count() or 1))


def one_more(folder: Path, datasets: int) -> str:
    """Another run of one cell, as a run that went on would leave it."""
    found = record("algorithm0", "made/up0-v0", 10_000, 50.0, random.Random(1))
    Store(folder / "runs").put(found)
    return page(folder, datasets)


def measured(name: str, step: Callable[..., object], *arguments: object) -> None:
    """Runs a step in a process of its own and prints what it took."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_inside, args=(send, step, *arguments))
    process.start()
    seconds, processor, memory, told = receive.recv()
    process.join()
    print(
        f"{name:30} {seconds:8.1f} s   {processor:8.1f} s of the processor   "
        f"{memory / 2**20:6.2f} GiB   {told or ''}",
        flush=True,
    )


def _inside(send, step, *arguments) -> None:
    began = time.perf_counter()
    told = step(*arguments)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    send.send((time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithms", type=int, default=50)
    parser.add_argument("--datasets", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        if not (folder / "runs").exists():
            numbers = given.algorithms, given.datasets, given.seeds
            measured("writing the records", fill, folder, *numbers)
        measured("table, index made anew", table, folder, given.datasets, "markdown")
        measured("table", table, folder, given.datasets, "markdown")
        measured("table as CSV", table, folder, given.datasets, "csv")
        measured("pandas", scores, folder, given.datasets)
        measured("table as JSON, all pairs", table, folder, given.datasets, "json")
        measured("plan", planned, folder, given.algorithms, given.datasets, given.seeds)
        measured("page, all of it", page, folder, given.datasets)
        measured("page, nothing changed", page, folder, given.datasets)
        measured("page, one run more", one_more, folder, given.datasets)


if __name__ == "__main__":
    main()
