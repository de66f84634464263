"""The commands that join `zoo`. Each only reads its arguments, calls the API and prints.

What they need is imported when they run: `zoo --help` must not load gymnasium or pandas.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.errors import ZooError

if TYPE_CHECKING:
    from rich.console import Console

    from zoo_leaderboard.board import Board
    from zoo_leaderboard.execution import Progress
    from zoo_leaderboard.planning import Planned
    from zoo_leaderboard.runner import Summary

SETTINGS = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change a setting."
)
DEVICE = click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Folder of results.  [default: $ZOO_RUNS, else ./runs]",
)
TRACK = click.option(
    "--track", default="demo", show_default=True, help="A track's name, or the path of a TOML file."
)
OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Write to this file instead of the terminal."
)


def _console() -> Console:
    from rich.console import Console

    # Without a terminal rich assumes 80 columns, which would cut tables in files and pipes.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


@click.command()
@click.option("--remote", is_flag=True, help="Minari's remote datasets too.")
def datasets(remote: bool) -> None:
    """List embedded and local datasets: sizes, spaces, reference scores."""
    from rich.table import Table
    from rich.text import Text

    from zoo_leaderboard.datasets import listing

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("dataset", no_wrap=True)
    table.add_column("where")
    for title in ("episodes", "steps", "obs", "act"):
        table.add_column(title, justify="right")
    table.add_column("environment")
    table.add_column("reference scores")
    for info in listing(remote):
        reference = info.reference
        scores = f"{reference.min:g} to {reference.max:g}" if reference else "none"
        where = info.where if info.built else f"{info.where}, built on first use"
        numbers = (info.episodes, info.steps, info.observation_dim, info.action_dim)
        last = Text(info.problem, style="red") if info.problem else Text(scores)
        table.add_row(
            Text(info.id),
            where,
            *("-" if n is None else f"{n:,}" for n in numbers),
            Text(info.environment or "-"),
            last if info.built else Text("-"),
        )
    _console().print(table)


@click.command()
@click.argument("name", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="[default: NAME.png]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
def figure(name: str | None, out: Path | None, seed: int) -> None:
    """Draw one of the papers' pictures from agents trained on the spot; without NAME, list them."""
    from zoo_leaderboard import figures

    if name is None:
        width = max(map(len, figures.FIGURES))
        for known, meaning in figures.FIGURES.items():
            click.echo(f"{known:<{width}}  {meaning}")
        return
    click.echo(f"wrote {figures.draw(name, out or Path(f'{name}.png'), seed)}")


@click.command()
@click.argument("algorithm")
@click.argument("dataset")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@SETTINGS
@click.option("--tuned", is_flag=True, help="The paper's settings for this dataset.")
@DEVICE
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.")
@click.option("--episodes", type=click.IntRange(1), default=10, show_default=True)
@click.option("--evaluations", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Of torch.")
def train(
    algorithm: str,
    dataset: str,
    seed: int,
    settings: Sequence[str],
    tuned: bool,
    device: str,
    out: Path | None,
    episodes: int,
    evaluations: int,
    threads: int | None,
) -> None:
    """Train ALGORITHM on DATASET (an id, or a sum such as A+0.5*B) and evaluate it.

    The run's folder gets result.json and agent.pt. The same command goes on with an interrupted
    run.
    """
    from zoo_leaderboard.training import train as train_run

    shown = _TrainLines()
    run = train_run(
        algorithm,
        dataset,
        seed=seed,
        settings=list(settings),
        tuned=tuned,
        device=device,
        out=out,
        episodes=episodes,
        evaluations=evaluations,
        threads=threads,
        report=shown,
    )
    result = run.result
    unit = "score" if result.reference else "return (no reference scores)"
    before = "finished before: " if run.already else ""
    click.echo(f"{before}{result.cell}: {unit} {result.score:.1f} after {result.total_steps} steps")
    click.echo(f"run: {run.folder}")


class _TrainLines:
    """One line per evaluation, and one every few seconds."""

    seconds = 5.0

    def __init__(self) -> None:
        self.last = 0.0
        self.score: float | None = None

    def __call__(self, progress: Progress) -> None:
        import time

        from zoo_leaderboard.progress import (
            duration,
            metrics_text,
            number,
            preparing_text,
            seconds_left,
        )

        now = time.monotonic()
        where = f"step {progress.step}/{progress.total_steps}"
        if progress.preparing:
            if now - self.last >= self.seconds:
                self.last = now
                click.echo(f"{where}  {preparing_text(progress)}")
            return
        if progress.resumed and progress.steps_per_second == 0 and progress.score is None:
            click.echo(f"going on at step {progress.step} of {progress.total_steps}")
            return
        if progress.score == self.score and now - self.last < self.seconds:
            return
        self.last, self.score = now, progress.score
        click.echo(
            f"{where}  {progress.steps_per_second:.0f} steps/s  loss {number(progress.loss)}  "
            f"score {number(progress.score)}  {duration(seconds_left(progress))} left"
        )
        if len(progress.metrics) > 1:
            click.echo(f"    {metrics_text(progress.metrics)}")


@click.command()
@click.argument("run", metavar="RUN_OR_CHECKPOINT", type=click.Path(path_type=Path))
@click.option("--episodes", type=click.IntRange(1), default=20, show_default=True)
@click.option("--dataset", help="Whose environment to use, where the file does not say it.")
@click.option("--act", help="A named way of acting.  [default: the headline]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of the environments.")
@DEVICE
def evaluate(
    run: Path, episodes: int, dataset: str | None, act: str | None, seed: int | None, device: str
) -> None:
    """Evaluate a run's folder, its result file, or a policy's or trainer's checkpoint."""
    from zoo_leaderboard.progress import metrics_text
    from zoo_leaderboard.scoring import evaluate as evaluate_run

    found = evaluate_run(run, episodes=episodes, dataset=dataset, act=act, seed=seed, device=device)
    error = "" if found.standard_error is None else f" ± {found.standard_error:.2f}"
    n = len(found.returns)
    click.echo(f"{found.algorithm} ({found.act}) on {found.dataset}, {n} episodes")
    click.echo(f"return {found.mean_return:.2f}{error} (standard error)")
    click.echo(f"mean length {sum(found.lengths) / n:.1f}")
    if found.reference is not None:
        click.echo(f"score {found.score:.1f} (reference: {found.reference.source})")
    else:
        click.echo("no score: the dataset has no reference scores")
    for last in found.metrics:
        means = f"mean over {last.steps} steps up to {last.step}"
        click.echo(f"training, stage {last.stage}, {means}: {metrics_text(last.metrics)}")


@click.group()
def leaderboard() -> None:
    """Rank algorithms: run what is missing, then table and plot."""


@leaderboard.command("run")
@TRACK
@click.option("--algorithm", "algorithms", multiple=True, help="Several times for several.")
@click.option("--dataset", "datasets", multiple=True, help="An id or a sum; of the track or not.")
@click.option("--seeds", metavar="0-4", help="Such as 3, 0-4 or 0,2,5-7.  [default: the track's]")
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
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Per job.")
@click.option("--retry-failed", is_flag=True, help="Failed and damaged cells too.")
@click.option("--time-limit", type=click.FloatRange(1), metavar="SECONDS", help="Of a job.")
@click.option("--dry-run", is_flag=True, help="Only show what would run, is done, or is stale.")
def run_command(
    track: str,
    algorithms: Sequence[str],
    datasets: Sequence[str],
    seeds: str | None,
    variants: Sequence[Any],
    settings: Sequence[str],
    store: Path | None,
    device: str,
    workers: int | None,
    threads: int,
    retry_failed: bool,
    time_limit: float | None,
    dry_run: bool,
) -> None:
    """Run what the store lacks of a track, each job in a process of its own.

    Finished jobs never run again; interrupted ones go on from their checkpoints. A job that fails
    costs its own cell; the exit code is 1 when any planned cell has no score.
    """
    from zoo_core.training import usable_device
    from zoo_leaderboard.planning import parse_seeds
    from zoo_leaderboard.progress import choose_display
    from zoo_leaderboard.ranking import carry_out, prepare
    from zoo_leaderboard.runner import to_run
    from zoo_leaderboard.store import Store

    usable_device(device)
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
        tell=lambda line: click.echo(f"zoo: {line}", err=True),
    )
    jobs = to_run(planned, retry_failed)
    click.echo(_plan_line(planned, len(jobs)))
    if dry_run:
        chosen = {job.key for job in jobs}
        for item in planned:
            state = "to run" if item.job.key in chosen else item.state
            note = f"  ({item.note})" if item.note else ""
            click.echo(f"  {state:8}  {item.job.cell}, {item.job.total_steps} steps{note}")
        return
    with choose_display(_console(), len(jobs)) as display:
        try:
            summary = carry_out(
                planned,
                place,
                display,
                workers=workers,
                retry_failed=retry_failed,
                time_limit=time_limit,
            )
        except KeyboardInterrupt:
            click.echo("stopped; the same command goes on from the checkpoints", err=True)
            raise
    _finish(summary, place.root)


def _plan_line(planned: Sequence[Planned], jobs: int) -> str:
    counts = {state: sum(p.state == state for p in planned) for state in ("finished", "failed")}
    damaged = sum(p.state == "damaged" for p in planned)
    stale = sum("stale result" in p.note for p in planned)
    text = f"{len(planned)} runs: {counts['finished']} finished, {jobs} to run"
    for count, what in ((counts["failed"], "failed"), (damaged, "damaged"), (stale, "stale")):
        text += f", {count} {what}" if count else ""
    return text


def _finish(summary: Summary, root: Path) -> None:
    for job, reason in summary.failures:
        click.echo(f"failed: {job.cell}: {reason}", err=True)
    click.echo(
        f"{summary.finished} finished now, {summary.already} before, "
        f"{len(summary.failures)} without a score; results in {root}"
    )
    if not summary.ok:
        click.echo("--retry-failed runs failed and damaged cells again", err=True)
        click.get_current_context().exit(1)


@leaderboard.command("table")
@TRACK
@STORE
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "csv", "latex", "json"]),
    default="markdown",
    show_default=True,
)
@OUT
def table_command(track: str, store: Path | None, style: str, out: Path | None) -> None:
    """Show the leaderboard of a track from the store's files."""
    _write(_board(store, track).table(style), out)


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
def published_command(track: str, store: Path | None, style: str, out: Path | None) -> None:
    """Show finished runs beside published scores, and how data and environments differ."""
    _write(_board(store, track).published(style), out)


def _board(store: Path | None, track: str) -> Board:
    from zoo_leaderboard.board import load

    board = load(store, track)
    for problem in board.damaged:
        click.echo(f"zoo: {problem}", err=True)
    return board


def _write(text: str, out: Path | None) -> None:
    from zoo_leaderboard.store import write_atomically

    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text)
        click.echo(f"wrote {out}")


@leaderboard.command("plot")
@TRACK
@STORE
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The figure; its ending chooses the format.  [default: STORE/TRACK.png]",
)
def plot_command(track: str, store: Path | None, out: Path | None) -> None:
    """Draw the learning curves of a track."""
    from zoo_leaderboard.store import Store

    place = Store(store)
    board = _board(place.root, track)
    if not board.rows:
        raise ZooError(f"no run of track '{board.track.name}' in {place.root}")
    click.echo(f"wrote {board.plot(out or place.root / f'{board.track.name}.png')}")
