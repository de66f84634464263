"""Randomness as an input: losses and samplers draw from tapes, never from a global generator.

One generator stream belongs to each (seed, stage, update, term), so that adding a term shifts no
other's draws. A dry pass counts how many numbers a term draws; each step then fills one flat tape
per kind and `Noise` deals slices of it. Losses are thereby deterministic and shapes static, and
the same loss runs under `torch.func.vmap`.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor
from typing_extensions import override


def stream_seed(*names: object) -> int:
    """A 63-bit seed that depends on every name, and not on the order of creation of streams."""
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Noise:
    """Deals standard normal and uniform [0, 1) numbers; what losses and samplers draw from."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of that shape."""
        raise NotImplementedError

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) of that shape."""
        raise NotImplementedError

    def integers(self, high: int, *shape: int) -> Tensor:
        """Uniform integers in {0, ..., high - 1} of that shape (int64)."""
        return (self.uniform(*shape) * high).long().clamp(max=high - 1)


class GeneratorNoise(Noise):
    """Draws from a generator as it goes: for acting, `prepare` and tests.

    Args:
        generator: The stream; its device is where the numbers are made.
        dtype: Floating type of the numbers.
    """

    def __init__(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> None:
        self.generator = generator
        self.dtype = dtype

    @override
    def normal(self, *shape: int) -> Tensor:
        return torch.randn(
            shape, generator=self.generator, dtype=self.dtype, device=self.generator.device
        )

    @override
    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(
            shape, generator=self.generator, dtype=self.dtype, device=self.generator.device
        )


class CountingNoise(Noise):
    """The dry pass: counts the draws and returns numbers of no meaning."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.normals = 0
        self.uniforms = 0
        self.dtype = dtype
        self.device = device

    @override
    def normal(self, *shape: int) -> Tensor:
        self.normals += math.prod(shape)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    @override
    def uniform(self, *shape: int) -> Tensor:
        self.uniforms += math.prod(shape)
        return torch.full(shape, 0.5, dtype=self.dtype, device=self.device)


class Tape(Noise):
    """Deals slices of two flat tapes in the order of the calls.

    Args:
        normals: Flat tape of standard normal numbers.
        uniforms: Flat tape of uniform numbers in [0, 1).

    Raises:
        IndexError: more is drawn than the tape holds, so the number of draws is not static.
    """

    def __init__(self, normals: Tensor, uniforms: Tensor) -> None:
        self._normals, self._uniforms = normals, uniforms
        self._normal_position = 0
        self._uniform_position = 0

    @override
    def normal(self, *shape: int) -> Tensor:
        start, self._normal_position = (
            self._normal_position,
            self._normal_position + math.prod(shape),
        )
        return _slice(self._normals, start, self._normal_position).view(shape)

    @override
    def uniform(self, *shape: int) -> Tensor:
        start = self._uniform_position
        self._uniform_position += math.prod(shape)
        return _slice(self._uniforms, start, self._uniform_position).view(shape)


def _slice(tape: Tensor, start: int, stop: int) -> Tensor:
    if stop > tape.shape[0]:
        raise IndexError(
            f"a term drew {stop} numbers but its dry pass drew {tape.shape[0]}: "
            "the number of draws must not depend on values"
        )
    return tape[start:stop]


class Stream:
    """One (seed, stage, update, term)'s generator, which fills a tape a step.

    Args:
        seed: Of the generator; see `stream_seed`.
        normals: Standard normal numbers per step, from the dry pass.
        uniforms: Uniform numbers per step.
    """

    def __init__(
        self, seed: int, normals: int, uniforms: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)
        self.normals, self.uniforms = normals, uniforms
        self.dtype, self.device = dtype, device

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next step's flat tapes (normal, uniform)."""
        options = {"generator": self.generator, "dtype": self.dtype, "device": self.device}
        normals = torch.randn(self.normals, **options)  # type: ignore[call-overload]
        uniforms = torch.rand(self.uniforms, **options)  # type: ignore[call-overload]
        return normals, uniforms
