"""What the pictures share: bandits as data, agents trained on them, panels of actions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import zoo_core


def bandit(
    actions: Tensor, rewards: Tensor, kind: type[zoo_core.OfflineData] = zoo_core.OfflineData
) -> zoo_core.OfflineData:
    """Actions [N, A] and rewards [N] of one observation, as episodes of one step."""
    ended = torch.ones(len(actions), dtype=torch.bool)
    return kind(
        torch.zeros(2 * len(actions), 1),
        actions,
        rewards,
        ended,
        ~ended,
        torch.ones(len(actions), dtype=torch.int64),
    )


def trained(
    algorithm: str, data: zoo_core.OfflineData, seed: int, *settings: str
) -> zoo_core.Agent:
    """An agent trained on the bandit with settings such as `steps=1000`."""
    recipe = zoo_core.resolve(algorithm, list(settings))
    return zoo_core.Trainer(recipe, data, seeds=(seed,)).run().agent()


def actions_of(agent: zoo_core.Agent, count: int, act: str | None = None, seed: int = 0) -> Tensor:
    """Actions [count, A] of the agent."""
    noise = zoo_core.GeneratorNoise(torch.Generator().manual_seed(seed))
    return agent.act(torch.zeros(count, 1), noise, act)


def scatter(panel: Any, actions: Tensor, title: str, colour: str = "#0072B2") -> None:
    """Actions [N, 2] as points of a square panel."""
    spread = float(actions.std(0).max())
    # A policy without randomness is one point, which must still be seen.
    size, alpha = (2, 0.35) if spread > 1e-3 else (40, 1.0)
    panel.scatter(*actions.T, s=size, alpha=alpha, color=colour, linewidths=0, rasterized=True)
    panel.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", xticks=(-1, 0, 1))
    panel.set_yticks((-1, 0, 1))
    panel.set_title(title, fontsize="medium")
