"""Dropout whose mask comes from a noise object, so that it runs under vmap and can be repeated."""

from typing import Protocol

from torch import Tensor, nn


class UniformNoise(Protocol):
    """The part of `zoo_core.noise.Noise` that dropout needs."""

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1) of that shape."""
        ...


class Dropout(nn.Module):
    """Zeroes each number with probability `rate`, divides the rest by 1 - rate (arXiv:1207.0580).

    Args:
        rate: In [0, 1).

    Raises:
        ValueError: the rate is not in [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"a dropout rate lies in [0, 1), got {rate}")
        self.rate = rate

    def forward(self, x: Tensor, noise: UniformNoise | None = None) -> Tensor:
        """Drop out x of any shape by `noise.uniform(*x.shape)`; without noise return x."""
        if noise is None or self.rate == 0.0:
            return x
        kept = noise.uniform(*x.shape) >= self.rate
        return x * kept / (1.0 - self.rate)

    def extra_repr(self) -> str:
        """The rate, for printing."""
        return f"rate={self.rate}"
