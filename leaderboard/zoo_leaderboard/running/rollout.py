"""One episode in one copy of an environment: seeded, its outcomes checked."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.environment import layers, name_of, reason
from zoo_leaderboard.datasets.outcomes import reset_outcome, shown, step_outcome

Environment = gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]
"""Flat observations; actions in [-1, 1]."""


class Rollout:
    """An episode under way, from its reset on.

    Args:
        env: A copy of the environment.
        episode: The episode's number, for messages.
        seed: Seed of the reset, and of every generator of the copy that `reset` may leave alone.
        limit: Steps after which the episode is cut if the environment has no longer time limit.

    Raises:
        ZooError: the environment fails, or returns what is no observation; names the environment,
            the episode and the step.
    """

    def __init__(self, env: Environment, episode: int, seed: int, limit: int) -> None:
        self.env = env
        self.name = name_of(env)
        self.episode = episode
        self.limit = max(limit, own_limit(env))
        self.episode_return = 0.0
        self.length = 0
        self.over = False
        self.cut = False
        """Whether the limit ended the episode, and not the environment."""
        _seed(env, seed)
        with self._located():
            observation, _ = reset_outcome(env.observation_space, env.reset(seed=seed))
        self.observation = self._finite(observation)

    def step(self, action: NDArray[np.float32]) -> None:
        """Takes one action [A] in [-1, 1].

        Raises:
            ZooError: the environment fails, or returns what is no outcome or not finite.
        """
        self.length += 1
        with self._located():
            outcome = step_outcome(self.env.observation_space, self.env.step(action))
        self.episode_return += outcome.reward
        if not math.isfinite(self.episode_return):
            raise ZooError(
                f"environment '{self.name}' gave a reward that is not finite at {self._place()}: "
                f"{outcome.reward}"
            )
        self.observation = self._finite(outcome.observation)
        ended = outcome.terminated or outcome.truncated
        self.cut = not ended and self.length >= self.limit
        self.over = ended or self.cut

    def _finite(self, observation: Any) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            # A copy: an environment may hand out one array and change it later.
            array = np.array(observation, dtype=np.float32)
        if not np.isfinite(array).all():
            raise ZooError(
                f"environment '{self.name}' gave an observation that is not finite at "
                f"{self._place()}: {shown(observation)}"
            )
        return array

    @contextlib.contextmanager
    def _located(self) -> Iterator[None]:
        """Names the environment, the episode and the step in what goes wrong."""
        try:
            yield
        except ZooError as error:
            raise ZooError(f"environment '{self.name}', {self._place()}: {error}") from None
        except (Exception, SystemExit) as error:
            raise ZooError(
                f"environment '{self.name}' failed at {self._place()}: {reason(error)}"
            ) from error

    def _place(self) -> str:
        where = f"step {self.length}" if self.length else "the reset"
        return f"{where} of episode {self.episode}"


def own_limit(env: gymnasium.Env[Any, Any]) -> int:
    """The steps of the environment's own time limit; 0 if it has none."""
    limits = [
        layer._max_episode_steps
        for layer in layers(env)
        if isinstance(layer, gymnasium.wrappers.TimeLimit)
    ]
    return min(limits, default=0)


@contextlib.contextmanager
def seeded_process(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the generators that a process shares, for environments that draw from them, and
    restores them at the end."""
    python, array = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)


def _seed(env: Environment, seed: int) -> None:
    """Seeds what `reset(seed=...)` of a ported environment may leave alone: its generator, and
    those of its spaces."""
    spaces: dict[int, gymnasium.Space[Any]] = {}
    for layer in layers(env):
        for name in ("action_space", "observation_space"):
            space = getattr(layer, name, None)
            if isinstance(space, gymnasium.Space):
                spaces[id(space)] = space
    for space in spaces.values():
        space.seed(seed)
    with contextlib.suppress(AttributeError):
        env.unwrapped.np_random = gymnasium.utils.seeding.np_random(seed)[0]
