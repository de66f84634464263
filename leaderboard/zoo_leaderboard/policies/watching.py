"""A policy at work, as a video: `zoo watch` and `zoo_leaderboard.watch`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_core import GeneratorNoise
from zoo_core.errors import Diverged, ZooError
from zoo_core.noise import stream_seed
from zoo_core.registry import Registry
from zoo_leaderboard.datasets import Dataset
from zoo_leaderboard.datasets.environment import close
from zoo_leaderboard.policies.scoring import load_policy
from zoo_leaderboard.result import Protocol
from zoo_leaderboard.running.evaluation import Act
from zoo_leaderboard.running.rollout import Environment, Rollout, seeded_process

Frame = NDArray[np.uint8]
"""[height, width, 3]."""
FRAMES_PER_SECOND = 30
"""Default frame rate, if the environment has none."""


class Watched(NamedTuple):
    """A video and what is seen in it."""

    path: Path
    algorithm: str
    dataset: str
    act: str
    returns: tuple[float, ...]
    """Every episode's undiscounted return."""
    lengths: tuple[int, ...]
    """Every episode's steps; it has one frame more."""
    frames_per_second: int


def watch(
    path: Path | str,
    out: Path | str,
    *,
    episodes: int = 1,
    dataset: str | None = None,
    act: str | None = None,
    seed: int | None = None,
    registry: Registry | None = None,
) -> Watched:
    """Plays episodes one after the other and writes what the environment renders.

    Episode i starts from the same seed as the i-th of an evaluation.

    Args:
        path: A run's folder, its record (`.json`), or a policy's or trainer's file (`.pt`).
        out: The video, `.mp4`; it appears by rename when it is complete.
        episodes: Number of episodes.
        dataset: Dataset whose environment to use. Default: the run's own.
        act: A named way of acting. Default: the headline act.
        seed: Seed of the environment. Default: that of the run's protocol.
        registry: Registered names. Default: those of the installed plugins.

    Raises:
        ZooError: nothing readable at `path`; an environment that cannot be rendered, or not on this
            machine; a missing package.
    """
    target = Path(out)
    if target.suffix != ".mp4":
        raise ZooError(f"a video's file ends in .mp4 (got '{target.name}')")
    if not target.parent.is_dir():
        raise ZooError(f"no folder {target.parent} to write {target.name} to")
    _need_imageio()
    agent, found, record = load_policy(path, dataset, registry)
    chosen = agent.recipe.act(act).name
    protocol = record.ingredients.protocol if record else Protocol()
    start = protocol.seed if seed is None else seed
    generator = torch.Generator().manual_seed(stream_seed("zoo evaluate", start, chosen))
    noise = GeneratorNoise(generator)
    speed = _frames_per_second(found)

    def act_on(observations: Tensor) -> Tensor:
        return agent.act(observations, noise, chosen)

    with _video(target, speed) as add:
        played = [
            _play(found, act_on, number, protocol.model_copy(update={"seed": start}), add)
            for number in range(episodes)
        ]
    returns, lengths = zip(*played, strict=True)
    return Watched(target, agent.recipe.name, found.name, chosen, returns, lengths, speed)


def _need_imageio() -> None:
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise ZooError(
            f"videos need the package '{error.name}'; pip install 'zoo-leaderboard[video]'"
        ) from None


def _frames_per_second(dataset: Dataset) -> int:
    """The speed at which the dataset's environment renders arrays.

    Raises:
        ZooError: it does not render any.
    """
    plain = dataset.make_env()
    modes = plain.metadata.get("render_modes") or []
    speed = int(plain.metadata.get("render_fps") or FRAMES_PER_SECOND)
    close(plain)
    if "rgb_array" not in modes:
        raise ZooError(f"the environment of '{dataset.name}' renders no pictures (rgb_array)")
    return speed


def _frame(env: Environment, dataset: Dataset) -> Frame:
    """Current frame of the environment.

    Raises:
        ZooError: a package or a graphics library is missing.
    """
    from gymnasium.error import DependencyNotInstalled

    try:
        return np.asarray(env.render(), dtype=np.uint8)
    except DependencyNotInstalled as error:
        # Another package's text says itself what to install.
        hint = "; pip install 'zoo-leaderboard[video]'" if "pygame" in str(error) else ""
        raise ZooError(f"'{dataset.name}' cannot be rendered: {_line(error)}{hint}") from None
    except Exception as error:
        raise ZooError(
            f"'{dataset.name}' cannot be rendered on this machine: {_line(error)}; without a "
            "screen, MuJoCo needs MUJOCO_GL=egl (libEGL) or MUJOCO_GL=osmesa (libOSMesa)"
        ) from error


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _play(
    dataset: Dataset, act: Act, episode: int, protocol: Protocol, add: Callable[[Frame], None]
) -> tuple[float, int]:
    """One episode's return and steps, in a fresh copy; adds its first frame and one per step.

    Raises:
        Diverged: an action that is not finite.
        ZooError: the environment fails, or returns what is not an outcome.
    """
    seed = protocol.seed + episode
    with seeded_process(seed, torch.device("cpu")):
        env = dataset.make_env("rgb_array")
        try:
            rollout = Rollout(env, episode, seed, protocol.episode_limit)
            add(_frame(env, dataset))
            while not rollout.over:
                action = act(torch.from_numpy(rollout.observation)[None])[0].numpy()
                if not np.isfinite(action).all():
                    raise Diverged("the policy gave an action that is not finite")
                rollout.step(action)
                add(_frame(env, dataset))
        finally:
            close(env)
    return rollout.episode_return, rollout.length


@contextmanager
def _video(target: Path, speed: int) -> Iterator[Callable[[Frame], None]]:
    """A function that adds a frame; the file appears by rename when the block ends.

    Raises:
        ZooError: it cannot be written.
    """
    import imageio.v2 as imageio

    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".watch-") as folder:
            fresh = Path(folder) / target.name
            # Sizes need not be multiples of 16, to which frames would be stretched.
            writer: Any = imageio.get_writer(fresh, fps=speed, macro_block_size=2)
            with writer:
                yield writer.append_data
            os.replace(fresh, target)
    except OSError as error:
        raise ZooError(f"cannot write {target}: {error.strerror or error}") from None
