"""How a policy is scored: whole episodes in copies of the environment, from the same seeds.

One episode per copy, and a finished copy is dropped: taking the first N episodes to finish, as
auto-resetting vector environments do, would favour short ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_core.errors import Diverged, ZooError
from zoo_leaderboard.result import Protocol

Environment = gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]
"""Flat observations; actions in [-1, 1]."""
Act = Callable[[Tensor], Tensor]
"""Raw observations [B, O] to actions [B, A] in [-1, 1]; B shrinks as episodes end."""


class Episodes(NamedTuple):
    """What happened in each environment copy."""

    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    seconds: float


class Evaluator:
    """Environment copies that are made once and used for every evaluation of a run.

    Args:
        make: Makes one copy.
        protocol: How many, from which seeds.
        device: Where the policy wants its observations.
    """

    def __init__(
        self, make: Callable[[], Any], protocol: Protocol, device: str | torch.device = "cpu"
    ) -> None:
        self.protocol = protocol
        self.device = torch.device(device)
        self._make = make
        self._copies: list[Environment] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the copies."""
        for copy in self._copies:
            copy.close()
        self._copies.clear()

    def __call__(self, act: Act) -> Episodes:
        """Plays one episode in each copy.

        Raises:
            Diverged: an action that is not finite.
            ZooError: a reward or an observation that is not finite.
        """
        started = time.perf_counter()
        while len(self._copies) < self.protocol.episodes:
            self._copies.append(self._make())
        copies = self._copies[: self.protocol.episodes]
        observations = [
            np.asarray(copy.reset(seed=self.protocol.seed + i)[0], dtype=np.float32)
            for i, copy in enumerate(copies)
        ]
        returns = [0.0] * len(copies)
        lengths = [0] * len(copies)
        live = list(range(len(copies)))
        while live:
            stacked = torch.from_numpy(np.stack([observations[i] for i in live]))
            chosen = self._checked(act(stacked.to(self.device)), live)
            still: list[int] = []
            for i, action in zip(live, chosen, strict=True):
                observation, reward, terminated, truncated, _ = copies[i].step(action)
                observations[i] = np.asarray(observation, dtype=np.float32)
                returns[i] += float(reward)
                lengths[i] += 1
                if not math.isfinite(returns[i]) or not np.isfinite(observations[i]).all():
                    raise ZooError(
                        f"the environment gave a reward or an observation that is not finite "
                        f"at step {lengths[i]} of episode {i}"
                    )
                if not (terminated or truncated or lengths[i] >= self.protocol.episode_limit):
                    still.append(i)
            live = still
        return Episodes(tuple(returns), tuple(lengths), time.perf_counter() - started)

    def _checked(self, actions: Tensor, live: Sequence[int]) -> NDArray[np.float32]:
        array = actions.detach().to("cpu", torch.float32).numpy()
        if array.ndim != 2 or len(array) != len(live):
            raise ZooError(f"the policy gave actions {list(array.shape)}, not [{len(live)}, A]")
        if not np.isfinite(array).all():
            raise Diverged("the policy gave an action that is not finite")
        clipped: NDArray[np.float32] = np.clip(array, -1.0, 1.0)
        return clipped


def evaluation_steps(total: int, protocol: Protocol) -> list[int]:
    """The training steps at which a run is evaluated: 0 where the protocol has it, then evenly
    spaced up to `total`."""
    n = protocol.evaluations
    steps = {round(total * k / n) for k in range(1, n + 1)} - {0}
    return sorted(steps | {0} if protocol.untrained else steps)
