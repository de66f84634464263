"""The multilayer perceptron."""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_core.nn.concat_linear import ConcatLinear
from zoo_core.nn.dropout import Dropout, UniformNoise
from zoo_core.nn.linear import Linear, linear
from zoo_core.nn.linear_mish import linear_mish
from zoo_core.nn.mish import mish

Activation = Literal["relu", "mish", "tanh", "silu", "gelu", "elu"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "mish": mish,
    "tanh": torch.tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
}
"""Each by its name."""


def widths(hidden: int | Sequence[int], layers: int, name: str = "hidden") -> tuple[int, ...]:
    """The width of each of so many hidden layers, from one width for all or from one for each.

    Raises:
        ValueError: there are not as many widths as layers; the message calls them `name`.
    """
    if isinstance(hidden, int):
        return (hidden,) * layers
    if len(hidden) != layers:
        raise ValueError(f"{name} has {len(hidden)} widths for {layers} layers")
    return tuple(hidden)


class MLP(nn.Module):
    """Hidden layers of linear map, layer norm, activation, dropout; then a linear map.

    With two ReLU layers this is the network of TD3 (arXiv:1802.09477). Parameters start as
    `torch.nn.Linear`'s do.

    Args:
        inputs: Last dimension of the input; or of each of several inputs, which then broadcast
            (see `ConcatLinear`) and have the same parameters as their concatenation.
        outputs: Last dimension of the output.
        hidden: Width of every hidden layer, or one width for each.
        layers: Number of hidden layers, 0 or more.
        activation: Between the layers.
        layer_norm: Whether hidden layers are normalised before their activation (arXiv:1607.06450).
        dropout: Rate after each activation; the noise is given to `forward`.

    Raises:
        ValueError: an unknown activation, a rate outside [0, 1), or not as many widths as layers.
    """

    def __init__(
        self,
        inputs: int | Sequence[int],
        outputs: int,
        hidden: int | Sequence[int] = 256,
        layers: int = 2,
        activation: Activation = "relu",
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"no activation {activation!r}; known: {', '.join(get_args(Activation))}"
            )
        sizes = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        between = widths(hidden, layers)
        outs = [*between, outputs]
        self.first = ConcatLinear(sizes, outs[0])
        self.rest = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(outs))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in between if layer_norm)
        self.dropout = Dropout(dropout)
        self.activation = activation

    def forward(self, *inputs: Tensor, noise: UniformNoise | None = None) -> Tensor:
        """Inputs [..., inputs[i]], leading dimensions broadcast -> [..., outputs].

        Args:
            inputs: As many as `inputs` named.
            noise: Where dropout takes its masks from; without it nothing is dropped.

        Raises:
            ValueError: the inputs do not fit.
        """
        together = self.first.concatenated(*inputs)
        if together is not None and self.rest:
            return self._from_hidden(self._hidden(0, self.first, together), noise)
        z: Tensor = self.first(*inputs)
        return self._from_hidden(self._activated_in_place(0, z), noise) if self.rest else z

    def after_first(self, z: Tensor, noise: UniformNoise | None = None) -> Tensor:
        """The output [..., outputs] from the first layer's, z [..., its width].

        z may be put together from kept parts: `mlp.first.part(0, x, mlp.first.bias) + kept`.
        """
        return self._from_hidden(self._activated(0, z), noise) if self.rest else z

    def _from_hidden(self, x: Tensor, noise: UniformNoise | None) -> Tensor:
        *middle, last = self.rest
        for index, layer in enumerate(middle, start=1):
            x = self._hidden(index, cast(Linear, layer), self.dropout(x, noise))
        output: Tensor = last(self.dropout(x, noise))
        return output

    def _hidden(self, index: int, layer: Linear, x: Tensor) -> Tensor:
        if self.activation == "mish" and not self.norms:
            return linear_mish(x, layer.weight, layer.bias)
        return self._activated_in_place(index, linear(x, layer.weight, layer.bias))

    def _activated_in_place(self, index: int, z: Tensor) -> Tensor:
        """As `_activated`, of a z that nobody else reads and that no gradient needs."""
        if self.activation == "relu" and not self.norms:
            # Fresh memory for as many numbers takes longer than the function itself.
            return torch.relu_(z)
        return self._activated(index, z)

    def _activated(self, index: int, z: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](self.norms[index](z) if self.norms else z)
