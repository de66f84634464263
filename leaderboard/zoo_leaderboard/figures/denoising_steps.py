"""How many denoising steps a diffusion needs, cloning and with Q-learning (Diffusion-QL,
arXiv:2208.06193, the study of N)."""

from __future__ import annotations

from typing import Any

from zoo_leaderboard.figures.bandits import actions_of, scatter, trained
from zoo_leaderboard.figures.modes import COUNT, DECAYING, data

TITLE = "Four modes by the number of denoising steps N; the best mode is at the lower right"
STEPS = (1, 2, 5, 10, 50)
CLONING = ("steps=2000", "sampler.hidden=64", DECAYING)
IMPROVED = (
    "steps=600",
    "sampler.hidden=64",
    "critic.hidden=64",
    "lr=0.003",
    "critic_lr=0.003",
    "average_every=1",
    "average_start=1",
)


def draw(seed: int) -> Any:
    """The figure."""
    import matplotlib.pyplot as plt

    logged = data()
    figure, grid = plt.subplots(
        2, len(STEPS), figsize=(2.5 * len(STEPS), 5.5), sharex=True, sharey=True, squeeze=False
    )
    figure.set_layout_engine("constrained")
    for column, steps in enumerate(STEPS):
        size = f"sampler.steps={steps}"
        cloned = trained("diffusion_bc", logged, seed, size, *CLONING)
        scatter(grid[0][column], actions_of(cloned, COUNT), f"N = {steps}")
        improved = trained("diffusion_ql", logged, seed, size, *IMPROVED)
        scatter(grid[1][column], actions_of(improved, COUNT, "sample"), "", "#D55E00")
    grid[0][0].set_ylabel("Diffusion-BC")
    grid[1][0].set_ylabel("Diffusion-QL, one sample")
    figure.suptitle(TITLE, fontsize="medium")
    return figure
