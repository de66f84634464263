"""One state, actions around four modes of different reward, as in Diffusion-QL's toy: a policy
with one mode lies between them and earns little; cloning the data earns their mean."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoo_leaderboard.datasets.embedded.builder import Builder
from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.reference import Reference
from zoo_leaderboard.datasets.writing import Episode

EPISODES = 2_000
"""One step each, a quarter of them in each mode."""
SPREAD = 0.05
"""The standard deviation of actions around a mode's centre (Diffusion-QL's toy)."""
SEED = 20261121


def episodes() -> Iterator[Episode]:
    """Single steps, one mode after the other, so that any part of the set holds all four."""
    from zoo_leaderboard.datasets.embedded.bandit_env import CENTRES, NOISE, mean_reward

    generator = np.random.default_rng(SEED)
    for number in range(EPISODES):
        centre = CENTRES[number % len(CENTRES)]
        action = np.clip(centre + SPREAD * generator.standard_normal(2), -1.0, 1.0)
        action = action.astype(np.float32)
        reward = mean_reward(action) + NOISE * generator.standard_normal()
        yield Episode(
            np.zeros((2, 1), np.float32),
            action[None],
            np.array([reward]),
            np.array([True]),
            np.array([False]),
        )


ENVIRONMENT = Environment(
    {
        "id": "zoo/BanditModes-v0",
        "entry_point": "zoo_leaderboard.datasets.embedded.bandit_env:BanditModes",
    }
)

BUILDER = Builder(
    id="zoo/bandit/modes-v0",
    description="One state, 2-D actions around four separated modes with different rewards.",
    algorithm="a quarter of the actions around each mode, Gaussian with deviation 0.05",
    environment=ENVIRONMENT,
    evaluation=ENVIRONMENT,
    reference=Reference(
        0.4225, 5.0, "mean reward of uniform actions (by quadrature); the best mode's mean reward"
    ),
    episodes=episodes,
)
