"""What the Gaussian samplers share: a network that gives a mean and a log standard deviation."""

from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.nn import MLP, Activation
from zoo_core.noise import Noise


class DiagonalGaussianConfig(Config):
    """Settings of a Gaussian with a diagonal covariance."""

    hidden: PositiveInt = 256
    """Width of each hidden layer."""
    layers: NonNegativeInt = 2
    """Number of hidden layers."""
    activation: Activation = "relu"
    """Between the layers."""
    std: Literal["state_independent", "state_dependent"] = "state_independent"
    """Whether the log standard deviation is a parameter or an output of the network."""
    min_log_std: float = -5.0
    """Lower bound of the log standard deviation (of `tanh_gaussian`: before tanh)."""
    max_log_std: float = 2.0
    """Upper bound of the log standard deviation (of `tanh_gaussian`: before tanh)."""
    reduction: Literal["mean", "sum"] = "sum"
    """How the terms of the nll of action dimensions become one number; log-probabilities are
    always sums."""

    @model_validator(mode="after")
    def _ordered(self) -> "DiagonalGaussianConfig":
        if self.min_log_std >= self.max_log_std:
            raise ValueError("min_log_std must be below max_log_std")
        return self


class DiagonalGaussian(nn.Module):
    """The network of N(mean(s), diag(std(s)^2)).

    Args:
        config: Width, depth and the standard deviation's bounds.
        space: Dimensions of observations and actions.
        dropout: Rate after each hidden layer.
    """

    def __init__(self, config: DiagonalGaussianConfig, space: Space, dropout: float = 0.0) -> None:
        super().__init__()
        dependent = config.std == "state_dependent"
        self.net = MLP(
            space.observation_dim,
            space.action_dim * (2 if dependent else 1),
            hidden=config.hidden,
            layers=config.layers,
            activation=config.activation,
            dropout=dropout,
        )
        self.log_std = None if dependent else nn.Parameter(torch.zeros(space.action_dim))
        self.log_std_bounds = (config.min_log_std, config.max_log_std)

    def mean_and_log_std(
        self, observations: Tensor, dropout: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation, [B, A] each, for observations [B, O]."""
        output: Tensor = self.net(observations, noise=dropout)
        if self.log_std is None:
            mean, log_std = output.chunk(2, -1)
        else:
            mean, log_std = output, self.log_std.expand_as(output)
        return mean, log_std.clamp(*self.log_std_bounds)
