"""The residual denoiser of SfBC and QGPO."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_core.nn.concat_linear import ConcatLinear
from zoo_core.nn.linear import Linear
from zoo_core.nn.time_embedding import RandomFourierFeatures

_OBSERVATIONS, _TIMES = range(2)
"""The parts of the context's first layer."""


class _Block(nn.Module):
    """Two layers with a shortcut; the context is added in between."""

    def __init__(self, inputs: int, outputs: int, context: int) -> None:
        super().__init__()
        self.context = Linear(context, outputs)
        self.first = Linear(inputs, outputs)
        self.second = Linear(outputs, outputs)
        self.shortcut = Linear(inputs, outputs) if inputs != outputs else None

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x [..., inputs], context [..., context], activated -> [..., outputs]."""
        h = F.silu(self.second(F.silu(self.first(x)) + self.context(context)))
        return h + (x if self.shortcut is None else self.shortcut(x))


class DenoiserUNet(nn.Module):
    """Residual layers that shrink and grow again, with shortcuts between equals
    (SfBC, arXiv:2209.14548, and QGPO, arXiv:2304.12824; their `ScoreNet`).

    Args:
        observations: Size of an observation, O.
        actions: Size of an action, A.
        hidden: Width of the outermost layers, H; then H / 2 and H / 4. SfBC's is 512.
        time_dim: Size of the time's embedding. SfBC's is 32.
        time_embedding: [...] -> [..., time_dim]; random Fourier features if None.

    Raises:
        ValueError: a width that is not a multiple of 4.
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: int = 512,
        time_dim: int = 32,
        time_embedding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if hidden % 4:
            raise ValueError(f"the width of this denoiser is a multiple of 4, got {hidden}")
        wide, middle, narrow, context = hidden, hidden // 2, hidden // 4, 128
        self.embedding = time_embedding or RandomFourierFeatures(time_dim, 30.0)
        self.time = Linear(time_dim, time_dim)
        self.observation = Linear(observations, 32)
        self.context_in = ConcatLinear((32, time_dim), context)
        self.context_out = Linear(context, context)
        self.down = nn.ModuleList(
            [
                _Block(actions, wide, context),
                _Block(wide, middle, context),
                _Block(middle, narrow, context),
            ]
        )
        self.middle = _Block(narrow, narrow, context)
        self.up = nn.ModuleList(
            [_Block(2 * narrow, middle, context), _Block(2 * middle, wide, context)]
        )
        self.last = Linear(2 * wide, actions)

    def forward(self, observations: Tensor, actions: Tensor, times: Tensor) -> Tensor:
        """The network's output [..., A] for observations [..., O], noised actions [..., A] and
        times [...], whose leading dimensions broadcast."""
        z = self.context_in(self._observed(observations), self._embedded(times))
        return self._blocks(actions, self._context(z))

    def conditioned(
        self, observations: Tensor, times: Tensor | None = None
    ) -> Callable[[Tensor, Tensor | float], Tensor]:
        """The network as a function of actions and time; see `Denoiser.conditioned`."""
        of_observations = self.context_in.part(_OBSERVATIONS, self._observed(observations))
        of_times = None if times is None else self._of_times(times)

        def network(actions: Tensor, k: Tensor | float) -> Tensor:
            if of_times is None:
                of_time = self._of_times(torch.as_tensor(k, device=observations.device))
            else:
                of_time = of_times[int(k)]
            return self._blocks(actions, self._context(of_observations + of_time))

        return network

    def _observed(self, observations: Tensor) -> Tensor:
        return F.silu(self.observation(observations))

    def _embedded(self, times: Tensor) -> Tensor:
        embedded: Tensor = self.time(self.embedding(times).to(self.time.weight))
        return embedded

    def _of_times(self, times: Tensor) -> Tensor:
        """What times [...] add to the context's first layer, its bias included: [..., 128]."""
        return self.context_in.part(_TIMES, self._embedded(times), self.context_in.bias)

    def _context(self, z: Tensor) -> Tensor:
        """From the first layer's output, activated, [..., 128]."""
        return F.silu(self.context_out(F.silu(z)))

    def _blocks(self, x: Tensor, context: Tensor) -> Tensor:
        kept = []
        for block in self.down:
            x = block(x, context)
            kept.append(x)
        x = self.middle(x, context)
        for block in self.up:
            x = block(torch.cat((kept.pop(), x), -1), context)
        output: Tensor = self.last(torch.cat((kept.pop(), x), -1))
        return output
