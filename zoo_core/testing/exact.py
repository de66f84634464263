"""A diffusion of finitely many points, whose denoiser and intermediate energy are known sums.

For a distribution that puts equal weight on points x_i, q(x_0 | x_t) has weights
w_i proportional to exp(-|x_t - alpha_t x_i|^2 / (2 sigma_t^2)). The noise that a perfect denoiser
predicts, and the energies that perfect guidances learn, follow from them without any training.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from zoo_core.diffusion import ContinuousProcess


class _Posterior(nn.Module):
    """log w [..., N] of noised points [..., D] at times that broadcast."""

    points: Tensor

    def __init__(self, points: Tensor, process: ContinuousProcess) -> None:
        super().__init__()
        self.process = process
        self.register_buffer("points", points)

    def log_weights(self, x: Tensor, times: Tensor) -> Tensor:
        """Normalised, [..., N]."""
        alpha, sigma = (c[..., None] for c in self.process.coefficients(times, x))
        # |x - alpha x_i|^2 without |x|^2, which cancels.
        product = x @ self.points.T
        logits = alpha * product - 0.5 * alpha.square() * self.points.square().sum(-1)
        return (logits / sigma.square()).log_softmax(-1)


class ExactDenoiser(_Posterior):
    """The noise E[epsilon | x_t]; takes the place of a sampler's `denoiser`.

    Args:
        points: [N, D].
        process: Of the diffusion.
    """

    def forward(self, observations: Tensor, actions: Tensor, times: Tensor) -> Tensor:
        """Noise [..., D] in noised points [..., D]; observations count for nothing."""
        alpha, sigma = (c[..., None] for c in self.process.coefficients(times, actions))
        clean = self.log_weights(actions, times).exp() @ self.points
        return (actions - alpha * clean) / sigma

    def conditioned(
        self, observations: Tensor, times: Tensor
    ) -> Callable[[Tensor, Tensor | float], Tensor]:
        """As `zoo_core.nn.Denoiser.conditioned`."""
        return lambda actions, k: self(observations, actions, times[int(k)])


class ExactEnergy(_Posterior):
    """The intermediate energy of the points' energies; takes the place of a sampler's `energy`.

    Args:
        points: [N, D].
        energies: beta E(x_i), [N].
        process: Of the diffusion.
        optimum_of: `cep`: log E[exp(beta E) | x_t], which contrastive energy prediction learns and
            which steers to p exp(beta E); `mse`: E[beta E | x_t], which regression to it learns.
    """

    energies: Tensor

    def __init__(
        self,
        points: Tensor,
        energies: Tensor,
        process: ContinuousProcess,
        optimum_of: Literal["cep", "mse"] = "cep",
    ) -> None:
        super().__init__(points, process)
        self.register_buffer("energies", energies)
        self.optimum_of = optimum_of

    def forward(self, observations: Tensor, actions: Tensor, times: Tensor) -> Tensor:
        """Energies [...] of noised points [..., D]; observations count for nothing."""
        log_weights = self.log_weights(actions, times)
        if self.optimum_of == "cep":
            return torch.logsumexp(log_weights + self.energies, -1)
        return log_weights.exp() @ self.energies

    def conditioned(self, observations: Tensor, times: Tensor) -> Callable[[Tensor, int], Tensor]:
        """The energy [...] of noised points [..., D] by the position in times [K]."""

        def energy(actions: Tensor, k: int) -> Tensor:
            result: Tensor = self(observations, actions, times[k])
            return result

        return energy
