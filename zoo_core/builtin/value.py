"""A value of observations, V(s): what IQL fits to an upper expectile of Q (arXiv:2110.06169)."""

from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.nn import MLP, Activation, widths
from zoo_core.specs import CriticSpec


class ValueConfig(Config):
    """Settings of the critic `value`."""

    hidden: PositiveInt | tuple[PositiveInt, ...] = 256
    """Width of every hidden layer, or one width for each."""
    layers: NonNegativeInt = 2
    """Number of hidden layers."""
    activation: Activation = "relu"
    """Between the layers."""
    layer_norm: bool = False
    """Whether each hidden layer is normalised (arXiv:1607.06450)."""
    input_norm: bool = False
    """Whether the observation is normalised across its dimensions, as IDQL's code has it."""

    @model_validator(mode="after")
    def _fitting(self) -> "ValueConfig":
        widths(self.hidden, self.layers)
        return self


class Value(nn.Module):
    """One network of the observation."""

    def __init__(self, config: ValueConfig, space: Space) -> None:
        super().__init__()
        # flax's LayerNorm, which the setting follows, adds 1e-6 to the variance.
        self.norm = nn.LayerNorm(space.observation_dim, eps=1e-6) if config.input_norm else None
        self.net = MLP(
            space.observation_dim,
            1,
            hidden=config.hidden,
            layers=config.layers,
            activation=config.activation,
            layer_norm=config.layer_norm,
        )

    def v(self, observations: Tensor) -> Tensor:
        """Values [...] for observations [..., O]."""
        inputs = observations if self.norm is None else self.norm(observations)
        output: Tensor = self.net(inputs)
        return output.squeeze(-1)


SPEC = CriticSpec("value", ValueConfig, Value, "Kostrikov et al. 2022, arXiv:2110.06169")
