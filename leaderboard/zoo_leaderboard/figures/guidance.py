"""Densities guided by a learnt energy (QGPO, arXiv:2304.12824, figure 2), beside exact draws.

Everything is trained on points stretched to [-9, 9], twice the paper's coordinates: in the actions'
range, arms and rings are too thin for networks of this size, and guided samples are blurred.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

import zoo_core
from zoo_core.testing.densities import DENSITIES, Density
from zoo_leaderboard.figures.bandits import bandit, scatter, trained

TITLE = "p(a) exp(beta E(a)): drawn exactly (grey), and by a diffusion guided by a learnt energy"
BETAS = (1.0, 3.0, 10.0)
POINTS, LABELLED, SHOWN = 20_000, 2048, 1500
"""What the diffusion clones, how many of it critic and energy see, and what a panel shows."""
CLONE, STEPS = 10_000, (800, 1000)
"""Steps of the diffusion; of critic and energy together, and of the energy alone."""
STRETCH = 9.0
"""What points are multiplied by for the networks, and samples divided by."""
SETTINGS = (
    # The rewards are the energies themselves: rescaled, beta would mean another density.
    "reward=none",
    "behaviour_batch_size=512",
    "batch_size=32",
    'clone.behaviour.optimizer.sampler.prior.lr={"shape": "cosine", "start": 5e-3}',
    'train.critic.optimizer.critic.lr={"shape": "cosine", "start": 3e-3}',
    "energy_lr=0.002",
    'guide.energy.optimizer.sampler.energy.lr={"shape": "cosine", "start": 2e-3}',
    "tau=0.05",
    "sampler.network=mlp",
    "sampler.layers=4",
    "sampler.hidden=128",
    "sampler.energy_hidden=128",
    "sampler.method=multistep",
    "sampler.spacing=log_snr",
    "sampler.steps=20",
    "critic.hidden=128",
)


class Stretched(zoo_core.OfflineData):
    """Points beyond [-1, 1] as actions, which a diffusion that clips nothing can learn."""

    @override
    def check_values(self) -> None:
        """Accept actions of any size."""


def draw(seed: int) -> Any:
    """The figure."""
    import matplotlib.pyplot as plt

    columns = 1 + 2 * len(BETAS)
    figure, grid = plt.subplots(
        len(DENSITIES), columns, figsize=(1.7 * columns, 1.75 * len(DENSITIES) + 0.5)
    )
    figure.set_layout_engine("constrained")
    for line, (name, density) in zip(grid, DENSITIES.items(), strict=True):
        generator = torch.Generator().manual_seed(seed)
        points = density.sample(POINTS, generator)
        prior = cloned(points, seed)
        scatter(line[0], points[:SHOWN], "", "0.35")
        line[0].set_ylabel(name)
        for number, beta in enumerate(BETAS):
            exact, panel = line[1 + 2 * number : 3 + 2 * number]
            scatter(exact, density.sample_tilted(SHOWN, beta, generator), "", "0.35")
            scatter(panel, guided(density, points[:LABELLED], prior, beta, seed), "")
    for panel in grid.flat:
        panel.set(xticks=(), yticks=())
    grid[0][0].set_title("data")
    for number, beta in enumerate(BETAS):
        grid[0][1 + 2 * number].set_title(f"exact, beta {beta:g}")
        grid[0][2 + 2 * number].set_title(f"guided, beta {beta:g}")
    figure.suptitle(TITLE, fontsize="medium")
    return figure


def cloned(points: Tensor, seed: int) -> dict[str, Tensor]:
    """The parameters of a diffusion of the points, which every beta shares."""
    logged = bandit(STRETCH * points, torch.zeros(len(points)), Stretched)
    stages = (f"clone.steps={CLONE}", "train.steps=1", "guide.steps=1", "samples=1")
    agent = trained("qgpo", logged, seed, *SETTINGS, *stages)
    return {name: value.clone() for name, value in agent.part("sampler.prior").state_dict().items()}


def guided(
    density: Density, points: Tensor, prior: dict[str, Tensor], beta: float, seed: int
) -> Tensor:
    """Samples [SHOWN, 2] of that diffusion, guided by an energy learnt from the points' rewards."""
    steps = 1 + sum(STEPS)
    shares = ("behaviour_share=1e-6", f"critic_share={STEPS[0] / steps}", f"steps={steps}")
    betas = (f"beta={beta}", f"q_beta={beta}")
    recipe = zoo_core.resolve("qgpo", [*SETTINGS, *shares, *betas])
    logged = bandit(STRETCH * points, density.energy(points), Stretched)
    trainer = zoo_core.Trainer(recipe, logged, seeds=(seed,)).run(until=1)
    trainer.engine.agents[0].part("sampler.prior").load_state_dict(prior)
    sampler: Any = trainer.run().agent().part("sampler")
    noise = zoo_core.GeneratorNoise(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        drawn: Tensor = sampler.sample_scaled(torch.zeros(SHOWN, 1), noise, 1, 1.0)[0]
    return drawn / STRETCH
