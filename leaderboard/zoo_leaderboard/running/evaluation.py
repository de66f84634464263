"""Evaluation of a policy: whole episodes in fresh copies of the environment, from fixed seeds.

One episode per copy, and a finished copy is dropped: taking the first N episodes to finish, as
auto-resetting vector environments do, would favour short ones.

An evaluation is a function of the policy and the protocol alone. The copies are new each time,
since an environment or wrapper may keep something over its resets, and all generators that it may
draw from are seeded. Replaying the first steps shows whether that is enough.
"""

from __future__ import annotations

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
from zoo_leaderboard.datasets.environment import close, layers, name_of
from zoo_leaderboard.result import Protocol
from zoo_leaderboard.running.rollout import Environment, Rollout, seeded_process

Act = Callable[[Tensor], Tensor]
"""Raw observations [B, O] to actions [B, A] in [-1, 1]; B shrinks as episodes end."""
REPLAYED = 100
"""Steps of the first evaluation that are played again, to see whether they are the same."""
RESET_SUFFICES = ("gymnasium_robotics.envs.maze.point_maze",)
"""Modules of environments that keep nothing over a reset, by a test, and take longer to make than
to play: their copies are reused."""


class Episodes(NamedTuple):
    """Outcomes of the episode in each environment copy."""

    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    seconds: float
    note: str = ""
    """A line on what is unusual: an environment that its seed does not determine, an episode that
    the protocol cut; else empty."""


class Evaluator:
    """Plays evaluations, each in fresh copies of the environment.

    Args:
        make: Makes one copy.
        protocol: Number of episodes, their first seed, and the limit of endless ones.
        device: Device of the observations that the policy gets.
    """

    def __init__(
        self, make: Callable[[], Any], protocol: Protocol, device: str | torch.device = "cpu"
    ) -> None:
        self.protocol = protocol
        self.device = torch.device(device)
        self._make = make
        self._kept: list[Environment] = []
        self._notes: dict[str, None] = {}
        self._replayed = False

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
        """Closes the copies that are kept."""
        while self._kept:
            self._note(close(self._kept.pop()))

    def check(self) -> None:
        """Makes one copy of the environment and closes it, before training is spent on it.

        Raises:
            ZooError: the environment cannot be made, or no policy can be evaluated in it.
        """
        self._note(close(self._make()))

    def __call__(self, act: Act) -> Episodes:
        """Plays one episode in each of the protocol's copies.

        Raises:
            Diverged: an action that is not finite.
            ZooError: the environment cannot be made, fails, or returns what is not an outcome.
        """
        started = time.perf_counter()
        joint: list[_Joint] = []

        def recorded(step: int, rollouts: Sequence[Rollout]) -> NDArray[np.float32]:
            stacked = np.stack([rollout.observation for rollout in rollouts])
            actions = self._checked(act(torch.from_numpy(stacked).to(self.device)), len(rollouts))
            if step < REPLAYED and not self._replayed:
                joint.append(_Joint(stacked, actions, tuple(r.episode_return for r in rollouts)))
            return actions

        rollouts = self._play(recorded)
        if not self._replayed:
            self._replayed = True
            self._replay(joint)
        cut = [rollout.episode for rollout in rollouts if rollout.cut]
        if cut:
            rollout = rollouts[cut[0]]
            self._note(
                f"environment '{rollout.name}' has no time limit: {len(cut)} of {len(rollouts)} "
                f"episodes were cut after {rollout.length} steps"
            )
        return Episodes(
            tuple(rollout.episode_return for rollout in rollouts),
            tuple(rollout.length for rollout in rollouts),
            time.perf_counter() - started,
            "; ".join(self._notes),
        )

    def _play(
        self,
        choose: Callable[[int, Sequence[Rollout]], NDArray[np.float32]],
        steps: int | None = None,
    ) -> list[Rollout]:
        """Plays the protocol's episodes side by side, to their ends or for some steps."""
        protocol = self.protocol
        with seeded_process(protocol.seed, self.device):
            copies = self._copies()
            try:
                rollouts = [
                    Rollout(copy, i, protocol.seed + i, protocol.episode_limit)
                    for i, copy in enumerate(copies)
                ]
                live, step = rollouts, 0
                while live and (steps is None or step < steps):
                    actions = choose(step, live)
                    for rollout, action in zip(live, actions, strict=True):
                        rollout.step(action)
                    live = [rollout for rollout in live if not rollout.over]
                    step += 1
            finally:
                for copy in copies:
                    if copy not in self._kept:
                        self._note(close(copy))
        return rollouts

    def _copies(self) -> list[Environment]:
        """A copy for each episode: new ones, except of environments that a reset makes new."""
        if self._kept:
            return self._kept
        copies = [self._make() for _ in range(self.protocol.episodes)]
        self._note(getattr(copies[0], "note", ""))
        if all(map(_reset_suffices, copies)):
            self._kept = copies
        return copies

    def _replay(self, joint: Sequence[_Joint]) -> None:
        """Plays the first steps again in other copies, and notes if they differ."""

        class Differs(Exception):
            """The environment did something else this time."""

        def repeated(step: int, rollouts: Sequence[Rollout]) -> NDArray[np.float32]:
            before = joint[step]
            stacked = np.stack([rollout.observation for rollout in rollouts])
            returns = tuple(rollout.episode_return for rollout in rollouts)
            if not np.array_equal(stacked, before.observations) or returns != before.returns:
                raise Differs(name_of(rollouts[0].env))
            return before.actions

        try:
            self._play(repeated, len(joint))
        except Differs as error:
            self._note(
                f"environment '{error}' is not determined by its seed: the same actions led "
                "elsewhere, so scores do not depend on the policy alone"
            )
        except ZooError as error:
            self._note(f"a second evaluation fails: {error}")

    def _checked(self, actions: Tensor, count: int) -> NDArray[np.float32]:
        array = actions.detach().to("cpu", torch.float32).numpy()
        if array.ndim != 2 or len(array) != count:
            raise ZooError(f"the policy gave actions {list(array.shape)}, not [{count}, A]")
        if not np.isfinite(array).all():
            raise Diverged("the policy gave an action that is not finite")
        clipped: NDArray[np.float32] = np.clip(array, -1.0, 1.0)
        return clipped

    def _note(self, line: str) -> None:
        if line:
            self._notes[line] = None


class _Joint(NamedTuple):
    """One step of all live episodes."""

    observations: NDArray[np.float32]
    """[B, O], before the actions."""
    actions: NDArray[np.float32]
    """[B, A]."""
    returns: tuple[float, ...]
    """Return of each episode so far."""


def _reset_suffices(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether the environment, with no wrapper around it but the zoo's and Gymnasium's usual ones,
    is one that keeps nothing over a reset."""
    usual = (gymnasium.wrappers.TimeLimit, gymnasium.wrappers.OrderEnforcing)
    *wrappers, base = layers(env)
    plain = all(
        isinstance(layer, usual) or type(layer).__module__.startswith("zoo_leaderboard.")
        for layer in wrappers
    )
    return plain and type(base).__module__ in RESET_SUFFICES


def evaluation_steps(total: int, protocol: Protocol) -> list[int]:
    """The training steps at which a run is evaluated: 0 where the protocol has it, then evenly
    spaced up to `total`."""
    n = protocol.evaluations
    steps = {round(total * k / n) for k in range(1, n + 1)} - {0}
    return sorted(steps | {0} if protocol.untrained else steps)
