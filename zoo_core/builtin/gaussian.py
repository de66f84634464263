"""A Gaussian policy with a mean in [-1, 1] and a diagonal covariance."""

import math
from typing import Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.nn import MLP, Activation
from zoo_core.noise import Noise
from zoo_core.specs import SamplerSpec


class GaussianConfig(Config):
    """Settings of the sampler `gaussian`."""

    hidden: PositiveInt = 256
    """Width of each hidden layer."""
    layers: NonNegativeInt = 2
    """Number of hidden layers."""
    activation: Activation = "relu"
    """Between the layers."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Rate after each hidden layer; in `nll` alone, so that acting drops nothing out."""
    std: Literal["state_independent", "state_dependent"] = "state_independent"
    """Whether the log standard deviation is a parameter or an output of the network."""
    min_log_std: float = -5.0
    """Lower bound of the log standard deviation."""
    max_log_std: float = 2.0
    """Upper bound of the log standard deviation."""
    reduction: Literal["mean", "sum"] = "sum"
    """How the terms of -log p of action dimensions become one number."""

    @model_validator(mode="after")
    def _ordered(self) -> "GaussianConfig":
        if self.min_log_std >= self.max_log_std:
            raise ValueError("min_log_std must be below max_log_std")
        return self


class Gaussian(nn.Module):
    """N(tanh(net(s)), diag(std^2)); its nll is -log p."""

    def __init__(self, config: GaussianConfig, space: Space) -> None:
        super().__init__()
        self.config = config
        dependent = config.std == "state_dependent"
        self.net = MLP(
            space.observation_dim,
            space.action_dim * (2 if dependent else 1),
            hidden=config.hidden,
            layers=config.layers,
            activation=config.activation,
            dropout=config.dropout,
        )
        self.log_std = None if dependent else nn.Parameter(torch.zeros(space.action_dim))

    def _mean_and_log_std(
        self, observations: Tensor, dropout: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        output: Tensor = self.net(observations, noise=dropout)
        if self.log_std is None:
            mean, log_std = output.chunk(2, -1)
        else:
            mean, log_std = output, self.log_std.expand_as(output)
        return mean.tanh(), log_std.clamp(self.config.min_log_std, self.config.max_log_std)

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
