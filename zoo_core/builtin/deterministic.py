"""A policy without randomness: tanh of an MLP (TD3's actor, arXiv:1802.09477)."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.nn import MLP, Activation
from zoo_core.noise import Noise
from zoo_core.specs import SamplerSpec


class DeterministicConfig(Config):
    """Settings of the sampler `deterministic`."""

    hidden: PositiveInt = 256
    """Width of each hidden layer."""
    layers: NonNegativeInt = 2
    """Number of hidden layers."""
    activation: Activation = "relu"
    """Between the layers."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Rate after each hidden layer; in `nll` alone, so that acting drops nothing out."""
    reduction: Literal["mean", "sum"] = "mean"
    """How squared errors of action dimensions become one number."""


class Deterministic(nn.Module):
    """One action per observation; its nll is the squared error."""

    def __init__(self, config: DeterministicConfig, space: Space) -> None:
        super().__init__()
        self.reduction = config.reduction
        self.net = MLP(
            space.observation_dim,
            space.action_dim,
            hidden=config.hidden,
            layers=config.layers,
            activation=config.activation,
            dropout=config.dropout,
        )

    def mode(self, observations: Tensor) -> Tensor:
        """Actions [B, A] for observations [B, O]."""
        output: Tensor = self.net(observations)
        return output.tanh()

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """The same action n times, [n, B, A]."""
        return self.mode(observations).expand(n, -1, -1)

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """Squared error [B]; `noise` is for dropout."""
        output: Tensor = self.net(observations, noise=noise)
        error = (output.tanh() - actions).square()
        return error.mean(-1) if self.reduction == "mean" else error.sum(-1)


SPEC = SamplerSpec(
    "deterministic", DeterministicConfig, Deterministic, "Fujimoto et al. 2018, arXiv:1802.09477"
)
