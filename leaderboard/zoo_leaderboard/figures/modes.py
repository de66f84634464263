"""Four modes, cloned by policies of growing expressiveness (Diffusion-QL, arXiv:2208.06193,
figure 1)."""

from __future__ import annotations

from typing import Any

import torch

from zoo_leaderboard.datasets.embedded import bandit as modes
from zoo_leaderboard.figures.bandits import actions_of, bandit, scatter, trained

TITLE = "Cloning four modes: 1,000 actions of each policy"
COUNT = 1000
DECAYING = 'train.actor.optimizer.sampler.lr={"shape": "cosine", "start": 0.01}'
VAE = ("sampler=vae", "sampler.kl_weight=0.05", "sampler.latent_clip=none")
POLICIES = (
    ("data", None, None, ()),
    ("BC (squared error)", "bc_deterministic", None, ("steps=500", "lr=0.01")),
    ("BC-MLE (Gaussian)", "bc", "sample", ("steps=500", "lr=0.01")),
    ("BC-CVAE", "bc", "sample", ("steps=3000", *VAE, DECAYING)),
    ("BC-diffusion (50 steps)", "diffusion_bc", None, ("sampler.steps=50", "steps=2000", DECAYING)),
)
"""Title, algorithm, act and settings of each panel."""


def data() -> Any:
    """The embedded bandit's actions and rewards."""
    episodes = list(modes.episodes())
    actions = torch.cat([torch.as_tensor(e.actions) for e in episodes])
    rewards = torch.cat([torch.as_tensor(e.rewards) for e in episodes])
    return bandit(actions, rewards.float())


def draw(seed: int) -> Any:
    """The figure."""
    import matplotlib.pyplot as plt

    logged = data()
    figure, panels = plt.subplots(
        1, len(POLICIES), figsize=(2.5 * len(POLICIES), 3.4), sharey=True, layout="constrained"
    )
    for panel, (title, algorithm, act, settings) in zip(panels, POLICIES, strict=True):
        if algorithm is None:
            scatter(panel, logged.actions[:COUNT], title, "0.35")
            continue
        agent = trained(algorithm, logged, seed, "sampler.hidden=64", *settings)
        scatter(panel, actions_of(agent, COUNT, act), title)
    figure.suptitle(TITLE, fontsize="medium")
    return figure
