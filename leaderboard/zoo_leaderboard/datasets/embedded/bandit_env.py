"""A bandit with four good regions of actions, after the toy of Diffusion-QL (Wang et al. 2023,
arXiv:2208.06193, section 4 and figure 1; the rewards' means are those of its public code)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

CENTRES = np.array([[-0.8, 0.8], [-0.8, -0.8], [0.8, 0.8], [0.8, -0.8]])
"""[4, 2], the modes, one in each corner."""
REWARDS = np.array([3.0, 0.0, 1.5, 5.0])
"""[4], the mean reward in each mode's centre."""
WIDTH = 0.2
"""Distance from a centre at which its reward falls to exp(-1/2); a fifth of that to the middle."""
NOISE = 0.5
"""The standard deviation of a reward."""


def mean_reward(actions: NDArray[Any]) -> NDArray[np.float64]:
    """Actions [..., 2] -> [...]: the reward of the mode that gives most there,
    m_k exp(-|a - c_k|^2 / (2 WIDTH^2)). Between the modes it is nearly 0."""
    squares = np.square(np.asarray(actions)[..., None, :] - CENTRES).sum(-1)
    found: NDArray[np.float64] = (REWARDS * np.exp(-squares / (2 * WIDTH**2))).max(-1)
    return found


class BanditModes(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One state, one step: an action in [-1, 1]^2 earns `mean_reward` and Gaussian noise."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The state, [0.0]."""
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """The reward of an action [2]; the episode terminates."""
        reward = float(mean_reward(action) + NOISE * self.np_random.standard_normal())
        return np.zeros(1, np.float32), reward, True, False, {}


gymnasium.register("zoo/BanditModes-v0", entry_point=f"{__name__}:BanditModes")
