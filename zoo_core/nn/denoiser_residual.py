"""The residual denoiser of IDQL."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo_core.nn.concat_linear import ConcatLinear
from zoo_core.nn.dropout import Dropout, UniformNoise
from zoo_core.nn.linear import Linear
from zoo_core.nn.mlp import ACTIVATIONS, Activation
from zoo_core.nn.time_embedding import LearnedFourierFeatures

# The order of the first layer's inputs, which is that of IDQL's network.
_ACTIONS, _OBSERVATIONS, _TIMES = range(3)


class _Block(nn.Module):
    """Dropout, layer norm, a layer four times as wide, and back, beside a shortcut."""

    def __init__(self, width: int, activation: Activation, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = Linear(width, 4 * width)
        self.contract = Linear(4 * width, width)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor, noise: UniformNoise | None) -> Tensor:
        """x [..., width] -> [..., width]."""
        wide = self.expand(self.norm(self.dropout(x, noise)))
        output: Tensor = x + self.contract(self.activation(wide))
        return output


class DenoiserResidual(nn.Module):
    """Blocks with layer norm, dropout and shortcuts (IDQL, arXiv:2304.10573; its "LN_Resnet").

    Args:
        observations: Size of an observation, O.
        actions: Size of an action, A.
        hidden: Width of the blocks; 4 times as wide within.
        blocks: Their number.
        activation: Between the layers.
        dropout: Rate at the start of each block; the noise is given to `forward`.
        time_dim: Size of the time's features, which a small network then doubles.
        time_embedding: [...] -> [..., time_dim]; learned Fourier features if None.
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: int = 256,
        blocks: int = 3,
        activation: Activation = "silu",
        dropout: float = 0.0,
        time_dim: int = 128,
        time_embedding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.embedding = time_embedding or LearnedFourierFeatures(time_dim)
        self.time_in = Linear(time_dim, 2 * time_dim)
        self.time_out = Linear(2 * time_dim, 2 * time_dim)
        self.first = ConcatLinear((actions, observations, 2 * time_dim), hidden)
        self.blocks = nn.ModuleList(_Block(hidden, activation, dropout) for _ in range(blocks))
        self.last = Linear(hidden, actions)
        self.activation = ACTIVATIONS[activation]

    def forward(
        self,
        observations: Tensor,
        actions: Tensor,
        times: Tensor,
        noise: UniformNoise | None = None,
    ) -> Tensor:
        """The network's output [..., A], one time per row.

        Args:
            observations: [..., O].
            actions: Noised ones, [..., A].
            times: [...]; leading dimensions of all three broadcast.
            noise: Where dropout takes its masks from; without it nothing is dropped.
        """
        return self._blocks(self.first(actions, observations, self._embedded(times)), noise)

    def conditioned(
        self, observations: Tensor, times: Tensor | None = None
    ) -> Callable[[Tensor, Tensor | float], Tensor]:
        """The network as a function of actions and time, without dropout; see
        `Denoiser.conditioned`."""
        first = self.first
        of_observations = first.part(_OBSERVATIONS, observations, first.bias)
        of_times = None if times is None else first.part(_TIMES, self._embedded(times))

        def network(actions: Tensor, k: Tensor | float) -> Tensor:
            if of_times is None:
                time = torch.as_tensor(k, dtype=observations.dtype, device=observations.device)
                of_time = first.part(_TIMES, self._embedded(time))
            else:
                of_time = of_times[int(k)]
            return self._blocks(first.part(_ACTIONS, actions) + (of_observations + of_time), None)

        return network

    def _embedded(self, times: Tensor) -> Tensor:
        """Times [...] -> [..., 2 time_dim]."""
        features = self.embedding(times).to(self.time_in.weight.dtype)
        output: Tensor = self.time_out(self.activation(self.time_in(features)))
        return output

    def _blocks(self, x: Tensor, noise: UniformNoise | None) -> Tensor:
        for block in self.blocks:
            x = block(x, noise)
        output: Tensor = self.last(self.activation(x))
        return output
