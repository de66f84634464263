"""Commands on single runs: `zoo train`, `zoo evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo_core.terminal import print_line, warn
from zoo_leaderboard.commands.options import DEVICE, SETTINGS, TRACKER

if TYPE_CHECKING:
    from zoo_leaderboard.result import Result
    from zoo_leaderboard.running.run import Progress


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
@click.option("--threads", type=click.IntRange(1), help="Threads of torch.")
@TRACKER
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
    trackers: Sequence[str],
) -> None:
    """Train ALGORITHM on DATASET (an id, or a sum such as A+0.5*B) and evaluate it.

    The run's folder gets result.json and agent.pt. The same command resumes an interrupted
    run.
    """
    from zoo_leaderboard.policies.training import train as train_run

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
        trackers=trackers,
        report=shown,
    )
    result = run.result
    before = "finished before: " if run.already else ""
    print_line(f"{before}{result.cell}: {_outcome(result)} after {result.total_steps} steps")
    print_line(f"run: {run.folder}")


def _outcome(result: Result) -> str:
    if result.score is not None:
        unit = "score" if result.reference else "return (no reference scores)"
        return f"{unit} {result.score:.1f}"
    missing = "no score without an environment"
    last = next((each for each in reversed(result.held_out) if each.act == result.act), None)
    if last is None:
        return f"{missing}, no held-out error with a single episode,"
    many = "episode" if last.episodes == 1 else "episodes"
    return f"{missing}; action error {last.action_error:.3g} on {last.episodes} held-out {many}"


class _TrainLines:
    """One line per evaluation, and one every few seconds."""

    seconds = 5.0

    def __init__(self) -> None:
        self.last = 0.0
        self.assessed: tuple[float | None, float | None] = None, None

    def __call__(self, progress: Progress) -> None:
        import time

        from zoo_leaderboard.running.progress import (
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
                print_line(f"{where}  {preparing_text(progress)}")
            return
        if progress.resumed and progress.steps_per_second == 0 and progress.score is None:
            print_line(f"resuming at step {progress.step} of {progress.total_steps}")
            return
        assessed = progress.score, progress.error
        if assessed == self.assessed and now - self.last < self.seconds:
            return
        self.last, self.assessed = now, assessed
        outcome = f"score {number(progress.score)}"
        if progress.error is not None:
            outcome = f"held-out action error {number(progress.error)}"
        print_line(
            f"{where}  {progress.steps_per_second:.0f} steps/s  loss {number(progress.loss)}  "
            f"{outcome}  {duration(seconds_left(progress))} left"
        )
        if len(progress.metrics) > 1:
            print_line(f"    {metrics_text(progress.metrics)}")


@click.command()
@click.argument("run", metavar="RUN_OR_CHECKPOINT")
@click.option("--episodes", type=click.IntRange(1), default=20, show_default=True)
@click.option("--dataset", help="Dataset whose environment to use if the file does not name it.")
@click.option("--act", help="Act to evaluate.  [default: the headline]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the environments.")
@DEVICE
def evaluate(
    run: str, episodes: int, dataset: str | None, act: str | None, seed: int | None, device: str
) -> None:
    """Evaluate a run's folder, its result file, or a policy's or trainer's checkpoint.

    A store's record or policy may be named by its URL.
    """
    from zoo_leaderboard.policies.scoring import evaluate as evaluate_run
    from zoo_leaderboard.running.progress import metrics_text

    found = evaluate_run(run, episodes=episodes, dataset=dataset, act=act, seed=seed, device=device)
    error = "" if found.standard_error is None else f" ± {found.standard_error:.2f}"
    n = len(found.returns)
    print_line(f"{found.algorithm} ({found.act}) on {found.dataset}, {n} episodes")
    print_line(f"return {found.mean_return:.2f}{error} (standard error)")
    print_line(f"mean length {sum(found.lengths) / n:.1f}")
    if found.reference is not None:
        print_line(f"score {found.score:.1f} (reference: {found.reference.source})")
    else:
        print_line("no score: the dataset has no reference scores")
    if found.note:
        warn(found.note)
    for last in found.metrics:
        means = f"mean over {last.steps} steps up to {last.step}"
        print_line(f"training, stage {last.stage}, {means}: {metrics_text(last.metrics)}")
