"""`zoo watch`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zoo_core.terminal import print_line


@click.command()
@click.argument("run", metavar="RUN_OR_CHECKPOINT")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The video, .mp4.")
@click.option("--episodes", type=click.IntRange(1), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the environment.")
@click.option("--act", help="A named way of acting.  [default: the headline]")
@click.option("--dataset", help="Whose environment to use, where the file does not say it.")
def watch(
    run: str, out: Path, episodes: int, seed: int | None, act: str | None, dataset: str | None
) -> None:
    """Write a video of a policy at work in its environment."""
    if not any(os.environ.get(name) for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY")):
        # Without a screen MuJoCo and pygame would first try windows.
        os.environ["MUJOCO_GL"] = "egl"
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    from zoo_leaderboard.policies.watching import watch as watch_policy

    seen = watch_policy(run, out, episodes=episodes, seed=seed, act=act, dataset=dataset)
    frames = sum(seen.lengths) + len(seen.lengths)
    print_line(f"wrote {seen.path}: {seen.algorithm} ({seen.act}) on {seen.dataset}")
    returns = ", ".join(f"{value:.1f}" for value in seen.returns)
    print_line(f"  {frames:,} frames at {seen.frames_per_second} a second; return {returns}")
