"""Q over actions, of SAC and of CQL, on narrow data (after CQL, arXiv:2006.04779, whose penalty
lowers what was never tried)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo_leaderboard.figures.bandits import bandit, trained

TITLE = "What is believed of each action; the data's are in the grey band"
RANGE = (-0.8, -0.4)
SMALL = ("batch_size=64", "sampler.hidden=32", "critic.hidden=32", "steps=1000")
CQL = ("lr=1e-3", "critic_lr=2e-3", "sampler.layers=2", "critic.layers=2")
RUNS = (
    ("SAC", "sac_off", "#D55E00", ("lr=1e-3",)),
    ("CQL, weight 1", "cql", "#56B4E9", (*CQL, "min_q_weight=1")),
    ("CQL, weight 5", "cql", "#0072B2", (*CQL, "min_q_weight=5")),
)
SEEDS = 3
LIMITS = (-6.0, 3.0)
"""Of Q; CQL's lies far below at the actions that are furthest from the data."""


def reward(actions: Tensor) -> Tensor:
    """[..., 1] -> [...]: a roof with its peak at -0.4, where the data end."""
    return 1.0 - 2.0 * (actions[..., 0] + 0.4).abs()


def draw(seed: int) -> Any:
    """The figure."""
    import matplotlib.pyplot as plt

    low, high = RANGE
    generator = torch.Generator().manual_seed(seed)
    actions = low + (high - low) * torch.rand(512, 1, generator=generator)
    logged = bandit(actions, reward(actions))
    grid = torch.linspace(-1.0, 1.0, 81)[:, None]
    figure, panel = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    panel.axvspan(low, high, color="0.9", label="data")
    panel.plot(grid, reward(grid), color="0.2", linestyle="--", label="true reward")
    for name, algorithm, colour, settings in RUNS:
        for run in range(SEEDS):
            agent = trained(algorithm, logged, seed + run, *SMALL, *settings)
            critic: Any = agent.part("critic")
            with torch.no_grad():
                q = critic.q(torch.zeros(len(grid), 1), grid).amin(0)
            label = name if run == 0 else None
            panel.plot(grid, q, color=colour, alpha=0.85, linewidth=1.3, label=label)
    panel.set(xlabel="action", ylabel="Q, the least of two critics", xlim=(-1, 1), ylim=LIMITS)
    panel.legend(frameon=False, fontsize="small")
    panel.set_title(f"{TITLE} ({SEEDS} seeds)", fontsize="small")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    return figure
