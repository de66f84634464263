"""Independent networks of the same inputs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo_core.nn.dropout import UniformNoise
from zoo_core.nn.mlp import MLP, Activation


class Ensemble(nn.Module):
    """E networks, each with parameters of its own, as `members`.

    They stay separate: on one core a stacked product gains little, and one member can be asked
    alone, `ensemble.members[0](x)`, which spares the others' backward pass.

    Args:
        members: E, 1 or more.
        inputs, outputs, hidden, layers, activation, layer_norm, dropout: Of each member; see `MLP`.

    Raises:
        ValueError: there are no members, or `MLP` refuses its settings.
    """

    def __init__(
        self,
        members: int,
        inputs: int | Sequence[int],
        outputs: int,
        hidden: int | Sequence[int] = 256,
        layers: int = 2,
        activation: Activation = "relu",
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if members < 1:
            raise ValueError(f"an ensemble has at least one member, got {members}")
        self.members = nn.ModuleList(
            MLP(inputs, outputs, hidden, layers, activation, layer_norm, dropout)
            for _ in range(members)
        )

    def forward(
        self, *inputs: Tensor, noise: UniformNoise | None = None, members: int | None = None
    ) -> Tensor:
        """Inputs as `MLP.forward` takes them -> [E, ..., outputs], or of the first `members`."""
        return torch.stack([member(*inputs, noise=noise) for member in self.members[:members]])
