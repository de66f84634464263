"""Pendulum-v1 swung up by the good controller alone: narrow data, on which an off-policy learner
believes in actions that nobody tried (Kumar et al. 2020, arXiv:2006.04779) and cloning is best.

The controller is that of `zoo/pendulum/mixed-v0`, with a little Gaussian noise on each torque.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from zoo_leaderboard.datasets.embedded.builder import Builder
from zoo_leaderboard.datasets.embedded.pendulum import BUILDER as MIXED
from zoo_leaderboard.datasets.embedded.pendulum import ENVIRONMENT, controller, episode
from zoo_leaderboard.datasets.writing import Episode

EPISODES = 100
"""Number of episodes, each of 200 steps (Pendulum's time limit)."""
SPREAD = 0.1
"""The standard deviation of the noise on a torque, whose range is [-2, 2]."""
SEED = 20261122


def episodes() -> Iterator[Episode]:
    """The episodes."""
    env = ENVIRONMENT.make_raw()
    generator = np.random.default_rng(SEED)

    def torque(step: int, observation: NDArray[np.floating]) -> NDArray[np.float64]:
        noisy = controller(observation) + SPREAD * generator.standard_normal(1)
        return np.clip(noisy, -2.0, 2.0)

    for number in range(EPISODES):
        yield episode(env, SEED + number, torque)
    env.close()


BUILDER = Builder(
    id="zoo/pendulum/narrow-v0",
    description="Pendulum-v1, swung up by a good controller with little noise: narrow data.",
    algorithm="energy shaping and PD, with Gaussian noise of deviation 0.1 on the torque",
    environment=ENVIRONMENT,
    evaluation=ENVIRONMENT,
    reference=MIXED.reference,
    episodes=episodes,
)
