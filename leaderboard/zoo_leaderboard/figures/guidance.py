"""Densities guided by a learnt energy (QGPO, arXiv:2304.12824, figure 2), beside exact draws."""

from __future__ import annotations

from typing import Any

import torch

from zoo_core.testing.densities import DENSITIES
from zoo_leaderboard.figures.bandits import actions_of, bandit, scatter, trained

TITLE = "p(a) exp(beta E(a)): drawn exactly (grey), and by a diffusion guided by a learnt energy"
BETAS = (1.0, 3.0, 10.0)
POINTS, SHOWN = 4096, 1000
SETTINGS = (
    # The rewards are the energies themselves: rescaled, beta would mean another density.
    "reward=none",
    "steps=5000",
    "clone.steps=2500",
    "train.steps=2000",
    "guide.steps=500",
    "behaviour_batch_size=512",
    "batch_size=64",
    "lr=0.002",
    "critic_lr=0.002",
    "energy_lr=0.002",
    "tau=0.05",
    "held_out=0",
    "sampler.network=mlp",
    "sampler.layers=4",
    "sampler.hidden=128",
    "sampler.energy_hidden=128",
    "sampler.method=multistep",
    "sampler.spacing=log_snr",
    "sampler.steps=20",
    "critic.hidden=128",
)


def draw(seed: int) -> Any:
    """The figure."""
    import matplotlib.pyplot as plt

    columns = 1 + 2 * len(BETAS)
    figure, grid = plt.subplots(
        len(DENSITIES), columns, figsize=(1.7 * columns, 1.85 * len(DENSITIES) + 0.5)
    )
    figure.set_layout_engine("constrained")
    for line, (name, density) in zip(grid, DENSITIES.items(), strict=True):
        generator = torch.Generator().manual_seed(seed)
        points = density.sample(POINTS, generator)
        logged = bandit(points, density.energy(points))
        scatter(line[0], points[:SHOWN], "", "0.35")
        line[0].set_ylabel(name)
        for number, beta in enumerate(BETAS):
            exact, guided = line[1 + 2 * number : 3 + 2 * number]
            scatter(exact, density.sample_tilted(SHOWN, beta, generator), "", "0.35")
            betas = (f"beta={beta}", f"q_beta={beta}", "scale=1")
            agent = trained("qgpo", logged, seed, *SETTINGS, *betas)
            scatter(guided, actions_of(agent, SHOWN, "scale_1"), "")
    for panel in grid.flat:
        panel.set(xticks=(), yticks=())
    grid[0][0].set_title("data")
    for number, beta in enumerate(BETAS):
        grid[0][1 + 2 * number].set_title(f"exact, beta {beta:g}")
        grid[0][2 + 2 * number].set_title(f"guided, beta {beta:g}")
    figure.suptitle(TITLE, fontsize="medium")
    return figure
