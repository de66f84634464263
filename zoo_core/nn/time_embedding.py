"""Embeddings of diffusion times."""

import math

import torch
from torch import Tensor, nn

from zoo_core.nn.linear import Linear
from zoo_core.nn.linear_mish import linear_mish


class SinusoidalEmbedding(nn.Module):
    """Sines and cosines of t / 10000^(i / (D/2 - 1)), i = 0 .. D/2 - 1 (arXiv:1706.03762).

    As in Diffusion-QL's `SinusoidalPosEmb`: all sines first, then all cosines.

    Args:
        size: D, even and at least 4.

    Raises:
        ValueError: another size.
    """

    frequencies: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 4 or size % 2:
            raise ValueError(f"the size of a time embedding is even and at least 4, got {size}")
        half = size // 2
        step = math.log(10000) / (half - 1)
        # In float64 until the whole module is cast, so that float64 agents keep every digit.
        frequencies = torch.exp(torch.arange(half, dtype=torch.float64) * -step)
        self.register_buffer("frequencies", frequencies)

    def forward(self, times: Tensor) -> Tensor:
        """Times [...], of any type -> [..., size]."""
        angles = times[..., None] * self.frequencies
        return torch.cat((angles.sin(), angles.cos()), -1)


class RandomFourierFeatures(nn.Module):
    """Cosines and sines of 2 pi f t, the frequencies f random but fixed (arXiv:2006.10739).

    Args:
        size: D, even.
        scale: Standard deviation of the frequencies.

    Raises:
        ValueError: the size is odd or not positive.
    """

    frequencies: Tensor

    def __init__(self, size: int, scale: float = 1.0) -> None:
        super().__init__()
        _check_fourier(size)
        self.register_buffer("frequencies", scale * torch.randn(size // 2))

    def forward(self, times: Tensor) -> Tensor:
        """Times [...], of any type -> [..., size]."""
        return _fourier(times, self.frequencies)


class LearnedFourierFeatures(nn.Module):
    """Cosines and sines of 2 pi f t, the frequencies f learned (IDQL, arXiv:2304.10573).

    Args:
        size: D, even.
        scale: Standard deviation of the first frequencies; 0.2 is IDQL's.

    Raises:
        ValueError: the size is odd or not positive.
    """

    def __init__(self, size: int, scale: float = 0.2) -> None:
        super().__init__()
        _check_fourier(size)
        self.frequencies = nn.Parameter(scale * torch.randn(size // 2))

    def forward(self, times: Tensor) -> Tensor:
        """Times [...], of any type -> [..., size]."""
        return _fourier(times, self.frequencies)


def _check_fourier(size: int) -> None:
    if size < 2 or size % 2:
        raise ValueError(f"the number of Fourier features is even and positive, got {size}")


def _fourier(times: Tensor, frequencies: Tensor) -> Tensor:
    angles = times[..., None] * (2 * math.pi * frequencies)
    return torch.cat((angles.cos(), angles.sin()), -1)


class TimeEmbedding(nn.Module):
    """An embedding and a small network after it: D -> 2D, Mish, -> D (Diffusion-QL's `time_mlp`).

    A time's embedding depends on nothing else: embed each distinct time once, not each row.

    Args:
        size: D, of both.
        embedding: [...] -> [..., D]; sinusoidal if None.
    """

    def __init__(self, size: int = 16, embedding: nn.Module | None = None) -> None:
        super().__init__()
        self.embedding = SinusoidalEmbedding(size) if embedding is None else embedding
        self.expand = Linear(size, 2 * size)
        self.contract = Linear(2 * size, size)

    def forward(self, times: Tensor) -> Tensor:
        """Times [...] -> [..., size]."""
        embedded = self.embedding(times).to(self.expand.weight.dtype)
        output: Tensor = self.contract(linear_mish(embedded, self.expand.weight, self.expand.bias))
        return output
