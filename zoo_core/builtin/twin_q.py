"""An ensemble of action values: two by default (clipped double Q, arXiv:1802.09477)."""

from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.nn import Activation, Ensemble, widths
from zoo_core.specs import CriticSpec


class TwinQConfig(Config):
    """Settings of the critic `twin_q`."""

    hidden: PositiveInt | tuple[PositiveInt, ...] = 256
    """Width of every hidden layer, or one width for each."""
    layers: NonNegativeInt = 2
    """Number of hidden layers."""
    activation: Activation = "relu"
    """Between the layers."""
    members: PositiveInt = 2
    """Networks in the ensemble, E."""
    layer_norm: bool = False
    """Whether each hidden layer is normalised (arXiv:1607.06450)."""

    @model_validator(mode="after")
    def _fitting(self) -> "TwinQConfig":
        widths(self.hidden, self.layers)
        return self


class TwinQ(nn.Module):
    """E independent networks of the observation and the action."""

    def __init__(self, config: TwinQConfig, space: Space) -> None:
        super().__init__()
        self.net = Ensemble(
            config.members,
            (space.observation_dim, space.action_dim),
            1,
            hidden=config.hidden,
            layers=config.layers,
            activation=config.activation,
            layer_norm=config.layer_norm,
        )

    def q(self, observations: Tensor, actions: Tensor, members: int | None = None) -> Tensor:
        """Values [E, ..., B] for observations [B, O] and candidates [..., B, A]; of the first
        `members` networks where that is given."""
        output: Tensor = self.net(observations, actions, members=members)
        return output.squeeze(-1)


SPEC = CriticSpec("twin_q", TwinQConfig, TwinQ, "Fujimoto et al. 2018, arXiv:1802.09477")
