"""The network of a diffusion over actions."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo_core.nn.mlp import MLP, Activation
from zoo_core.nn.time_embedding import TimeEmbedding

# The order of the first layer's inputs, which is that of Diffusion-QL's network.
_ACTIONS, _TIMES, _OBSERVATIONS = range(3)


class Denoiser(nn.Module):
    """An MLP of a noised action, an embedded time and an observation (arXiv:2208.06193, appendix).

    Args:
        observations: Size of an observation, O.
        actions: Size of an action, A.
        hidden, layers, activation, layer_norm: Of the network; see `MLP`.
        time_dim: Size of the time embedding.
        time_embedding: [...] -> [..., time_dim]; sinusoidal if None (see `TimeEmbedding`).
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: int = 256,
        layers: int = 3,
        activation: Activation = "mish",
        layer_norm: bool = False,
        time_dim: int = 16,
        time_embedding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.time = TimeEmbedding(time_dim, time_embedding)
        sizes = (actions, time_dim, observations)
        self.net = MLP(sizes, actions, hidden, layers, activation, layer_norm)

    def forward(self, observations: Tensor, actions: Tensor, times: Tensor) -> Tensor:
        """The network's output [..., A], one time per row.

        Args:
            observations: [..., O].
            actions: Noised ones, [..., A].
            times: [...]; leading dimensions of all three broadcast.
        """
        output: Tensor = self.net(actions, self.time(times), observations)
        return output

    def conditioned(
        self, observations: Tensor, times: Tensor | None = None
    ) -> Callable[[Tensor, Tensor | float], Tensor]:
        """The network as a function of actions and time, for a chain over the same observations.

        What depends on the observations alone is computed once, here; with `times`, what depends on
        them alone too.

        Args:
            observations: [B, O].
            times: [K], those that the chain will visit.

        Returns:
            f(actions [..., B, A], k) -> [..., B, A], where k is a position in `times`; without
            `times` it is the time itself, a number or a tensor of no dimension.
        """
        first = self.net.first
        of_observations = first.part(_OBSERVATIONS, observations)
        of_times = None if times is None else self._of_times(times)

        def network(actions: Tensor, k: Tensor | float) -> Tensor:
            if of_times is None:
                of_time = self._of_times(torch.as_tensor(k, device=observations.device))
            else:
                of_time = of_times[int(k)]
            return self.net.after_first(first.part(_ACTIONS, actions, of_time) + of_observations)

        return network

    def _of_times(self, times: Tensor) -> Tensor:
        """What times [...] add to the first layer's output, its bias included: [..., hidden]."""
        return self.net.first.part(_TIMES, self.time(times), self.net.first.bias)
