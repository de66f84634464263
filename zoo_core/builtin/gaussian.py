"""A Gaussian policy with a mean in [-1, 1] and a diagonal covariance."""

import math

from pydantic import Field
from torch import Tensor

from zoo_core.builtin.diagonal_gaussian import DiagonalGaussian, DiagonalGaussianConfig
from zoo_core.data import Space
from zoo_core.noise import Noise
from zoo_core.specs import SamplerSpec


class GaussianConfig(DiagonalGaussianConfig):
    """Settings of the sampler `gaussian`."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Rate after each hidden layer; in `nll` alone, so that acting drops nothing out."""


class Gaussian(DiagonalGaussian):
    """N(tanh(net(s)), diag(std^2)); its nll is -log p."""

    def __init__(self, config: GaussianConfig, space: Space) -> None:
        super().__init__(config, space, config.dropout)
        self.config = config

    def _mean_and_log_std(
        self, observations: Tensor, dropout: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        mean, log_std = self.mean_and_log_std(observations, dropout)
        return mean.tanh(), log_std

    def mode(self, observations: Tensor) -> Tensor:
        """The mean, [B, A], for observations [B, O]."""
        return self._mean_and_log_std(observations)[0]

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A]; they may leave [-1, 1], and acting clips them."""
        mean, log_std = self._mean_and_log_std(observations)
        return mean + log_std.exp() * noise.normal(n, *mean.shape)

    def sample_log_prob(
        self, observations: Tensor, noise: Noise, n: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Reparametrised actions [n, B, A] and log p [n, B]."""
        mean, log_std = self._mean_and_log_std(observations)
        z = noise.normal(n, *mean.shape)
        log_prob = -(0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(-1)
        return mean + log_std.exp() * z, log_prob

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """-log p(actions | observations), [B]; `noise` is for dropout."""
        mean, log_std = self._mean_and_log_std(observations, noise)
        z = (actions - mean) / log_std.exp()
        terms = 0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)
        return terms.mean(-1) if self.config.reduction == "mean" else terms.sum(-1)


SPEC = SamplerSpec("gaussian", GaussianConfig, Gaussian, "Pomerleau 1991; a maximum-likelihood fit")
