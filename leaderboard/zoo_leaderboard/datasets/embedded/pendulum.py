"""Pendulum-v1 swung up by a good controller at several levels of noise: cloning the mixture is
mediocre, choosing the better actions in it is not.

The controller pumps energy (Astrom and Furuta 2000, "Swinging up a pendulum by energy control")
and near the top hands over to proportional-derivative feedback. Its noise replaces the action, for
three steps at a time, by a full torque in a random direction; levels take turns, so that any part
of the set is a fair sample of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_leaderboard.datasets.embedded.builder import Builder
from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.reference import Reference
from zoo_leaderboard.datasets.writing import Episode

EPISODES = 300
"""Number of episodes, each of 200 steps (Pendulum's time limit)."""
LEVELS = (0.1, 0.4, 0.6, 0.8)
"""The share of random actions in episode i is LEVELS[i % 4]."""
HOLD = 3
"""Number of steps for which a random action is held."""
SEED = 20261121

Array = NDArray[np.float64]


def controller(observation: NDArray[np.floating]) -> Array:
    """(cos, sin, velocity) [3] -> the torque [1] in [-2, 2], without noise.

    The rod's energy (per its mass of 1 and length of 1, gravity 10) is 0 when it stands still at
    the top; a torque along the velocity adds to it.
    """
    cosine, sine, velocity = (float(x) for x in observation)
    if cosine > np.cos(0.6):
        torque = -10.0 * np.arctan2(sine, cosine) - 2.0 * velocity
    else:
        energy = velocity**2 / 6.0 + 5.0 * (cosine - 1.0)
        torque = -2.0 * energy * np.copysign(1.0, velocity)
    return np.array([min(max(torque, -2.0), 2.0)])


def episode(env: Any, seed: int, torque: Callable[[int, NDArray[np.floating]], Array]) -> Episode:
    """One episode of an environment by `torque(step, observation)`."""
    observation, _ = env.reset(seed=seed)
    observations, truncated = [observation], False
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    while not truncated:
        action = torque(len(actions), observation).astype(np.float32)
        observation, reward, _, truncated, _ = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
    return Episode(
        np.stack(observations),
        np.stack(actions),
        np.array(rewards),
        np.zeros(len(rewards), np.bool_),
        np.arange(len(rewards)) == len(rewards) - 1,
    )


def episodes() -> Iterator[Episode]:
    """The episodes, at alternating levels of noise."""
    env = ENVIRONMENT.make_raw()
    generator = np.random.default_rng(SEED)
    held: Array | None = None

    def torque(step: int, observation: NDArray[np.floating]) -> Array:
        nonlocal held
        if step % HOLD == 0:
            noise = generator.choice([-2.0, 2.0], 1)
            held = noise if generator.uniform() < level else None
        return controller(observation) if held is None else held

    for number in range(EPISODES):
        level = LEVELS[number % len(LEVELS)]
        yield episode(env, SEED + number, torque)
    env.close()


ENVIRONMENT = Environment.named("Pendulum-v1")

BUILDER = Builder(
    id="zoo/pendulum/mixed-v0",
    description="Pendulum-v1, swung up by a controller of which 10 to 80 % is random.",
    algorithm="energy shaping and PD, with 10, 40, 60 and 80 % random torques",
    environment=ENVIRONMENT,
    evaluation=ENVIRONMENT,
    reference=Reference(
        -1227.7, -149.7, "50,000 episodes of Pendulum-v1: uniform torques; the controller alone"
    ),
    episodes=episodes,
)
