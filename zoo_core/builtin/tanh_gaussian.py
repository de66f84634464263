"""A Gaussian squashed by tanh: SAC's policy (arXiv:1801.01290, appendix C; arXiv:1812.05905)."""

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from zoo_core.builtin.diagonal_gaussian import DiagonalGaussian, DiagonalGaussianConfig
from zoo_core.data import Space
from zoo_core.noise import Noise
from zoo_core.specs import SamplerSpec

EDGE = 1.0 - 1e-6
"""Actions of the data are clamped to [-EDGE, EDGE] before atanh, which is infinite at -1 and 1."""


class TanhGaussianConfig(DiagonalGaussianConfig):
    """Settings of the sampler `tanh_gaussian`."""

    std: Literal["state_independent", "state_dependent"] = "state_dependent"
    """Whether the log standard deviation is a parameter or an output of the network."""
    min_log_std: float = -20.0
    """Lower bound of the log standard deviation before tanh."""


class TanhGaussian(DiagonalGaussian):
    """a = tanh(u) with u ~ N(mean(s), diag(std(s)^2)); its nll is -log p(a)."""

    def __init__(self, config: TanhGaussianConfig, space: Space) -> None:
        super().__init__(config, space)
        self.config = config

    def mode(self, observations: Tensor) -> Tensor:
        """tanh of the mean, [B, A], for observations [B, O]: the median, and the action that SAC's
        evaluation takes; the density may be higher elsewhere."""
        return self.mean_and_log_std(observations)[0].tanh()

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Reparametrised actions [n, B, A] in (-1, 1)."""
        mean, log_std = self.mean_and_log_std(observations)
        return (mean + log_std.exp() * noise.normal(n, *mean.shape)).tanh()

    def sample_log_prob(
        self, observations: Tensor, noise: Noise, n: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Reparametrised actions [n, B, A] and log p [n, B]."""
        mean, log_std = self.mean_and_log_std(observations)
        z = noise.normal(n, *mean.shape)
        u = mean + log_std.exp() * z
        return u.tanh(), -_surprise(z, log_std, u).sum(-1)

    def log_prob(self, observations: Tensor, actions: Tensor) -> Tensor:
        """log p [..., B] of given actions [..., B, A]; finite at -1 and 1 too."""
        return -self._nll_terms(observations, actions).sum(-1)

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """-log p(actions | observations), [B]; finite for actions at -1 and 1 too."""
        terms = self._nll_terms(observations, actions)
        return terms.mean(-1) if self.config.reduction == "mean" else terms.sum(-1)

    def _nll_terms(self, observations: Tensor, actions: Tensor) -> Tensor:
        mean, log_std = self.mean_and_log_std(observations)
        u = actions.clamp(-EDGE, EDGE).atanh()
        return _surprise((u - mean) / log_std.exp(), log_std, u)


def _surprise(z: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    """-log p of a = tanh(u), u = mean + std z, per dimension (SAC, equation 21).

    log(1 - tanh(u)^2) is written as 2 (log 2 - u - softplus(-2u)), which stays exact for large |u|.
    """
    log_slope = 2.0 * (math.log(2.0) - u - F.softplus(-2.0 * u))
    return 0.5 * z.square() + log_std + 0.5 * math.log(2.0 * math.pi) + log_slope


SPEC = SamplerSpec(
    "tanh_gaussian", TanhGaussianConfig, TanhGaussian, "Haarnoja et al. 2018, arXiv:1801.01290"
)
