"""`zoo leaderboard`: run what is missing, then table, plot and page."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.errors import ZooError
from zoo_core.terminal import print_line, warn
from zoo_leaderboard.causes import by_cause, lines_of, named
from zoo_leaderboard.commands.options import (
    DEVICE,
    OUT,
    SETTINGS,
    STORE,
    TRACK,
    TRACKER,
    console,
    write,
)

if TYPE_CHECKING:
    from zoo_leaderboard.board.board import Board
    from zoo_leaderboard.planning import Job
    from zoo_leaderboard.reviewing import Planned
    from zoo_leaderboard.running.ray import Ray
    from zoo_leaderboard.running.runner import Summary
    from zoo_leaderboard.store import Store


@click.group()
def leaderboard() -> None:
    """Rank algorithms: run what is missing, then table, plot and page."""


@leaderboard.command("run")
@TRACK
@click.option("--algorithm", "algorithms", multiple=True, help="Algorithm; repeat for more.")
@click.option("--dataset", "datasets", multiple=True, help="Id or sum of ids; repeat for more.")
@click.option(
    "--seeds", metavar="0-4", help="Seeds, such as 3, 0-4 or 0,2,5-7.  [default: the track's]"
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(["default", "tuned"]),
    help="One config for every dataset, or the paper's by dataset.  [default: the track's]",
)
@SETTINGS
@STORE
@DEVICE
@click.option("--workers", type=click.IntRange(1), help="Jobs at a time.  [default: by cores]")
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads per job."
)
@TRACKER
@click.option("--retry-failed", is_flag=True, help="Run failed and damaged cells again.")
@click.option(
    "--time-limit", type=click.FloatRange(1), metavar="SECONDS", help="Time limit per job."
)
@click.option(
    "--memory-limit", metavar="SIZE", help="Limit per job, such as 4GiB.  [default: none]"
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Restarts of a job whose process was killed from outside.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Processes of this machine, or the nodes of a Ray cluster.",
)
@click.option(
    "--address", help="Address of the Ray cluster.  [default: $RAY_ADDRESS, else a local one]"
)
@click.option(
    "--cpus", type=click.FloatRange(0), help="Cores per job on Ray.  [default: its threads]"
)
@click.option("--gpus", type=click.FloatRange(0), help="GPUs per job on Ray, such as 0.25.")
@click.option("--dry-run", is_flag=True, help="Only show what would run, is done, or is stale.")
def run_command(
    track: str,
    algorithms: Sequence[str],
    datasets: Sequence[str],
    seeds: str | None,
    variants: Sequence[Any],
    settings: Sequence[str],
    store: str | None,
    device: str,
    workers: int | None,
    threads: int,
    trackers: Sequence[str],
    retry_failed: bool,
    time_limit: float | None,
    memory_limit: str | None,
    retries: int,
    engine: str,
    address: str | None,
    cpus: float | None,
    gpus: float | None,
    dry_run: bool,
) -> None:
    """Run what the store lacks of a track, each job in a process of its own.

    Finished jobs never run again; interrupted ones go on from their checkpoints. A job that fails
    costs its own cell; the exit code is 1 when any planned cell has no score.
    """
    from zoo_core.training import usable_device
    from zoo_leaderboard.planning import parse_seeds
    from zoo_leaderboard.ranking import carry_out, prepare
    from zoo_leaderboard.running.limits import Limits
    from zoo_leaderboard.running.memory import parse_size
    from zoo_leaderboard.running.progress import choose_display
    from zoo_leaderboard.running.runner import to_run, usable_cores
    from zoo_leaderboard.store import Store

    cluster = _ray(engine, address, cpus, gpus)
    if cluster is None:
        usable_device(device)
    memory = None if memory_limit is None else parse_size(memory_limit)
    limits = Limits(time_limit, memory, retries)
    place = Store(store)
    planned = prepare(
        track,
        algorithms=algorithms,
        datasets=datasets,
        seeds=None if seeds is None else parse_seeds(seeds),
        settings=list(settings),
        variants=variants,
        store=place,
        device=device,
        threads=threads,
        trackers=trackers,
        tell=warn,
    )
    jobs = to_run(planned, retry_failed)
    print_line(_plan_line(planned, len(jobs)))
    if dry_run:
        chosen = {job.run for job in jobs}
        for item in planned:
            state = "to run" if item.job.run in chosen else item.state
            note = f"  ({item.note})" if item.note else ""
            print_line(f"  {state:8}  {item.job.cell}, {item.job.total_steps} steps{note}")
        return
    if (workers or 1) * threads > usable_cores():
        taken = f"{workers or 1} x {threads} threads for {usable_cores()} cores"
        warn(f"{taken}: jobs will wait for each other")
    with choose_display(console(), len(jobs), place) as display:
        try:
            summary = carry_out(
                planned,
                place,
                display,
                workers=workers,
                retry_failed=retry_failed,
                limits=limits,
                engine=cluster,
            )
        except KeyboardInterrupt:
            print_line("interrupted; run the same command again to resume", err=True)
            raise
    _finish(summary, place)


def _ray(engine: str, address: str | None, cpus: float | None, gpus: float | None) -> Ray | None:
    """The cluster that was asked for; none for this machine."""
    from zoo_leaderboard.running.ray import Ray

    if engine == "ray":
        return Ray(address, cpus, gpus, warn)
    if (address, cpus, gpus) != (None, None, None):
        raise ZooError("--address, --cpus and --gpus are for --engine ray")
    return None


def _plan_line(planned: Sequence[Planned], jobs: int) -> str:
    from zoo_leaderboard.reviewing import each_run

    runs = each_run(planned)
    counts = Counter(p.state for p in runs)
    stale = sum("stale result" in p.note for p in runs)
    text = f"{len(runs)} runs: {counts['finished']} finished, {jobs} to run"
    for count, what in (
        (counts["failed"], "failed"),
        (counts["damaged"], "damaged"),
        (counts["unreadable"], "unreadable"),
        (stale, "stale"),
        (len(planned) - len(runs), "shared by rows with equal settings"),
    ):
        text += f", {count} {what}" if count else ""
    return text


def _traceback_place(job: Job, store: Store) -> str:
    """The record that has a failed job's traceback; empty where there is none."""
    from zoo_leaderboard.result import Result

    record = store.get(job.cell, job.key)
    if not isinstance(record, Result) or record.failure is None or not record.failure.traceback:
        return ""
    return store.files.full(store.name(job.cell, job.key))


def _finish(summary: Summary, store: Store) -> None:
    for jobs, reason in by_cause(summary.failures, lambda job: [job.cell.dataset]):
        cells = [job.cell for job in jobs]
        number = f", {len(cells)} runs" if len(cells) > 1 else ""
        print_line(f"failed{number}: {named(cells)}: {reason}", err=True)
        if place := _traceback_place(jobs[0], store):
            print_line(f"    traceback: {place}", err=True)
    print_line(
        f"{summary.finished} finished now, {summary.already} before, "
        f"{len(summary.failures)} without a score; results in {store}"
    )
    if not summary.ok:
        print_line("to run failed and damaged cells again, add --retry-failed", err=True)
        click.get_current_context().exit(1)


@leaderboard.command("forget")
@TRACK
@click.option("--algorithm", "algorithms", multiple=True, help="Algorithm; repeat for more.")
@click.option("--dataset", "datasets", multiple=True, help="Id or sum of ids; repeat for more.")
@click.option("--seeds", metavar="0-4", help="Seeds, such as 3, 0-4 or 0,2,5-7.  [default: all]")
@click.option(
    "--variant", "variants", multiple=True, type=click.Choice(["default", "tuned"]), help="Variant."
)
@STORE
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
def forget_command(
    track: str,
    algorithms: Sequence[str],
    datasets: Sequence[str],
    seeds: str | None,
    variants: Sequence[Any],
    store: str | None,
    dry_run: bool,
) -> None:
    """Drop planned cells without a result, so that they no longer count as missing.

    Results stay, failed, stale and damaged ones too, and so do checkpoints.
    """
    from zoo_leaderboard.forgetting import forget
    from zoo_leaderboard.planning import parse_seeds
    from zoo_leaderboard.store import Store

    place = Store(store)
    dropped = forget(
        track,
        algorithms=algorithms,
        datasets=datasets,
        seeds=None if seeds is None else parse_seeds(seeds),
        variants=variants,
        store=place,
        dry_run=dry_run,
    )
    for cell in dropped:
        print_line(f"  {cell}")
    would = "would be dropped from" if dry_run else "dropped from"
    print_line(f"{len(dropped)} planned cells without a result {would} the plan in {place}")


@leaderboard.command("merge")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@STORE
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def merge_command(sources: Sequence[str], store: str | None, dry_run: bool) -> None:
    """Copy into the store what it lacks of SOURCEs, which are folders or URLs of other stores.

    Nothing of the store is overwritten but failed records by finished ones. A run that both
    finished with equal results is one run. Where the results differ, a line says how, the store's
    stays, and the exit code is 1. Links that lead out of a SOURCE are not followed.
    """
    from zoo_leaderboard.store import Store
    from zoo_leaderboard.store.merge import merge

    target = Store(store)
    merged = merge([Store(source) for source in sources], target, dry_run=dry_run)
    for line in lines_of(merged.damaged, lambda problem: [problem.place]):
        warn(f"not copied: {line}")
    for conflict in merged.conflicts:
        print_line(f"conflict: {conflict}", err=True)
    counts = [f"{merged.copied} copied", f"{merged.same} there before"]
    for count, what in (
        (merged.replaced, "replaced"),
        (merged.kept, "failed ones left"),
        (len(merged.damaged), "damaged"),
        (len(merged.conflicts), "in conflict"),
    ):
        counts += [f"{count} {what}"] if count else []
    would = "would be in" if dry_run else "now in"
    print_line(f"{', '.join(counts)}, {merged.planned} newly planned; {would} {target}")
    if not merged.ok:
        click.get_current_context().exit(1)


@leaderboard.command("table")
@TRACK
@STORE
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "csv", "latex", "json"]),
    help="Format of the whole table.  [default: markdown with --full or --out]",
)
@click.option("--full", is_flag=True, help="The whole table, not the ranking on one screen.")
@OUT
def table_command(
    track: str, store: str | None, style: str | None, full: bool, out: Path | None
) -> None:
    """Show the leaderboard of a track from the store's files.

    By default the ranking on one screen: means with intervals, a column per dataset, and what is
    missing. A format, --full or --out give the whole table: every cell with its spread and notes,
    all aggregates, probabilities of improvement, and costs.
    """
    from zoo_leaderboard.report.tables.compact import HEIGHT, compact

    board = _board(store, track)
    if style or full or out:
        write(board.table(style or "markdown"), out)
        return
    size = shutil.get_terminal_size((100, HEIGHT))
    write(compact(board, size.columns, max(size.lines - 1, HEIGHT)), None)


@leaderboard.command("published")
@TRACK
@STORE
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "csv", "json"]),
    default="markdown",
    show_default=True,
)
@OUT
def published_command(track: str, store: str | None, style: str, out: Path | None) -> None:
    """Show finished runs beside published scores, and how data and environments differ."""
    write(_board(store, track).published(style), out)


def _board(store: str | None, track: str) -> Board:
    from zoo_leaderboard.board.loading import load

    board = load(store, track)
    for line in lines_of(board.damaged, lambda problem: [problem.place]):
        warn(line)
    return board


@leaderboard.command("plot")
@TRACK
@STORE
@click.option(
    "--figure",
    "kinds",
    multiple=True,
    type=click.Choice(["curves", "intervals", "profiles", "improvement", "cost", "heatmap", "all"]),
    default=["curves"],
    show_default=True,
    help="Figure to draw; repeat for more.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File of the figure, in the format of its ending; a folder for more than one.  "
    "[default: TRACK.png, TRACK-FIGURE.png in the store's folder]",
)
def plot_command(track: str, store: str | None, kinds: Sequence[str], out: Path | None) -> None:
    """Draw a track: learning curves, aggregates with intervals, performance profiles, probability
    of improvement, score against wall time, scores by dataset."""
    from zoo_leaderboard.report.plots import KINDS
    from zoo_leaderboard.store import Store

    place = Store(store)
    board = _board(store, track)
    name = board.track.name
    if not board.rows:
        raise ZooError(f"no run of track '{name}' in {place}")
    wanted = list(KINDS) if "all" in kinds else list(dict.fromkeys(kinds))
    folder = place.files.folder or Path()
    problems = []
    for kind in wanted:
        default = folder / f"{name}{'' if kind == 'curves' else f'-{kind}'}.png"
        several = out / f"{kind}.png" if out else default
        try:
            print_line(f"wrote {board.plot(out if out and len(wanted) == 1 else several, kind)}")
        except ZooError as error:
            problems.append(error)
            warn(f"no figure '{kind}': {error}")
    if len(problems) == len(wanted):
        raise problems[0]


@leaderboard.command("page")
@click.option("--track", "tracks", multiple=True, help="Track; repeat for more.  [default: all]")
@STORE
@click.option("--out", type=click.Path(path_type=Path), default="site", show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: by cores]")
def page_command(tracks: Sequence[str], store: str | None, out: Path, workers: int | None) -> None:
    """Write the leaderboards of a store as a static site, or what changed of it.

    It opens from disk and from any web host, and asks no server.
    """
    from zoo_leaderboard.report.page.publish import publish
    from zoo_leaderboard.running.runner import usable_cores

    done = publish(
        out,
        store,
        tracks,
        workers=workers or usable_cores(),
        tell=warn,
    )
    print_line(f"{out / 'index.html'}: {done}")


@leaderboard.command("verify")
@TRACK
@STORE
@click.option(
    "--sample", type=click.IntRange(1), default=3, show_default=True, help="Number of runs."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the sample."
)
@click.option("--workers", type=click.IntRange(1), help="Jobs at a time.  [default: by cores]")
def verify_command(
    track: str, store: str | None, sample: int, seed: int, workers: int | None
) -> None:
    """Make a sample of finished runs again and compare.

    Bit for bit on the record's machine and versions; elsewhere the score must lie in the interval
    of the cell's seeds. The exit code is 1 when a run differs or fails.
    """
    from zoo_leaderboard.audit.verify import verify
    from zoo_leaderboard.running.progress import choose_display

    with choose_display(console(), sample) as display:
        checked = verify(track, store, sample=sample, seed=seed, workers=workers, display=display)
    for found in checked:
        again = "-" if found.again is None else f"{found.again:.1f}"
        note = f" ({found.note})" if found.note else ""
        scores = f"score {found.run.score:.1f}, again {again}"
        print_line(f"{found.verdict:8}  {found.run.cell}: {scores}{note}")
    if not all(found.ok for found in checked):
        click.get_current_context().exit(1)


@leaderboard.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@TRACK
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
)
@OUT
def compare_command(a: str, b: str, track: str, style: str, out: Path | None) -> None:
    """Show what changed between the stores A and B, and whether it is noise."""
    from zoo_leaderboard.audit.compare import compare, render

    write(render(compare(a, b, track), style), out)
