"""Errors on episodes held out of training, in place of a score where there is no environment."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from zoo_core import Agent, OfflineData
from zoo_core.diagnostics import action_distance, probe
from zoo_core.errors import Diverged
from zoo_core.noise import Noise
from zoo_core.protocols import HasNll
from zoo_leaderboard.datasets.dataset import select
from zoo_leaderboard.result import HeldOut

INTERVAL = 10
"""One of so many episodes is held out; of fewer, the last one."""
ROWS = 10_000
"""Held-out transitions that an error is a mean over, at most."""


def split(data: OfflineData) -> tuple[OfflineData, OfflineData | None]:
    """The episodes to train on, and those held out: every tenth, at least one, none of one.

    An episode that was cut off with the collection is trained on, unless there are too few others.
    """
    episodes = len(data.lengths)
    if episodes < 2:
        return data, None
    complete = data.complete if int(data.complete.sum()) > 1 else torch.ones_like(data.complete)
    interval = min(INTERVAL, int(complete.sum()))
    held = complete & (complete.cumsum(0) % interval == 0)
    return select(data, ~held, data.name), select(data, held, f"{data.name}, held out")


def policy_error(
    act: Callable[[Tensor], Tensor], held_out: OfflineData, name: str, step: int, device: str
) -> HeldOut:
    """Error of a policy's actions relative to those of the held-out episodes.

    Args:
        act: Raw observations [B, O] to actions [B, A] in [-1, 1].
        held_out: The episodes.
        name: Name of the act.
        step: Training steps done.
        device: Device of the policy.

    Raises:
        Diverged: an action that is not finite.
    """
    index = probe(held_out, ROWS)
    chosen = act(held_out.observations[held_out.rows[index]].to(device))
    actions = chosen.detach().cpu().float().clamp(-1.0, 1.0)
    if not bool(torch.isfinite(actions).all()):
        raise Diverged("the policy gave an action that is not finite")
    return HeldOut(
        step=step,
        act=name,
        episodes=len(held_out.lengths),
        action_error=action_distance(actions, held_out.actions[index]),
    )


@torch.no_grad()
def agent_error(
    agent: Agent, held_out: OfflineData, noise: Noise, name: str, step: int, device: str
) -> HeldOut:
    """`policy_error` of one of an agent's acts, and its sampler's cloning error."""
    found = policy_error(
        lambda observations: agent.act(observations, noise, name), held_out, name, step, device
    )
    sampler = agent.part(agent.recipe.act(name).sampler)
    if not isinstance(sampler, HasNll):
        return found
    index = probe(held_out, ROWS)
    inputs = agent.normalized(held_out.observations[held_out.rows[index]].to(agent.reward_scale))
    stored = held_out.actions[index].to(agent.reward_scale)
    error = float(cast(HasNll, sampler).nll(inputs, stored, noise).mean())
    return found.model_copy(update={"cloning_error": error if math.isfinite(error) else None})
