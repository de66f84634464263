"""The reverse chain of DDPM (arXiv:2006.11239, algorithm 2)."""

import torch
from torch import Tensor

from zoo_core.diffusion.prediction import Prediction
from zoo_core.diffusion.process import DiscreteProcess
from zoo_core.diffusion.solver import Solver
from zoo_core.noise import Noise


class Ddpm:
    """All steps of a discrete process, from the last to the first.

    Args:
        process: In T steps.
        solver: Variance of the noise added, and what is clipped. Default: `Solver()`.
    """

    def __init__(self, process: DiscreteProcess, solver: Solver | None = None) -> None:
        self.described = solver or Solver()
        constants = process.constants
        self.times = [(i + 1) / process.steps for i in reversed(range(process.steps))]
        # The chain's constants as numbers: the same for every seed, and exact in any precision.
        self.mean_from_x0: list[float] = constants.posterior_mean_x0.tolist()
        self.mean_from_x: list[float] = constants.posterior_mean_x.tolist()
        self.posterior_std: list[float] = (
            constants.posterior_variance.clamp(min=1e-20).sqrt().tolist()
        )
        self.added_std: list[float] = self.posterior_std
        if self.described.variance == "beta":
            self.added_std = constants.betas.sqrt().tolist()

    def posterior_mean(self, x0: Tensor, x: Tensor, step: int) -> Tensor:
        """The mean of q(x_{t-1} | x_t, x_0) (equation 7)."""
        return torch.add(self.mean_from_x0[step] * x0, x, alpha=self.mean_from_x[step])

    def solve(self, prediction: Prediction, x: Tensor, noise: Noise) -> Tensor:
        """A sample [..., A] from pure noise x [..., A]."""
        for k, step in enumerate(reversed(range(len(self.times)))):
            x = self.posterior_mean(prediction.clean(x, k), x, step)
            if step > 0:
                x = torch.add(x, noise.normal(*x.shape), alpha=self.added_std[step])
            if self.described.clip_noised:
                x = x.clamp(-1.0, 1.0)
        return x
