"""Noise as an input: one row of numbers for each observation, whatever an act draws.

An exported policy has no random generator. What its act draws is dealt from the columns of two
matrices with a row for each observation, in the order of the draws: `normals` [B, K], standard
normal, and `uniforms` [B, L], uniform in [0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from zoo_core import Agent
from zoo_core.errors import ZooError
from zoo_core.noise import Noise

Kind = Literal["normals", "uniforms"]


class Draw(NamedTuple):
    """One draw of an act."""

    kind: Kind
    shape: tuple[int, ...]
    """Shape without the batch dimension."""
    axis: int
    """Index of the batch dimension."""

    @property
    def size(self) -> int:
        """The numbers per observation."""
        return math.prod(self.shape)


def draws_of(agent: Agent, act: str) -> tuple[Draw, ...]:
    """Draws of an act per observation, found by acting on two and on three.

    Raises:
        ZooError: a draw does not grow with the batch, so that it belongs to no observation.
    """
    two, three = (_drawn_for(agent, act, batch) for batch in (2, 3))
    return tuple(_draw(act, a, b) for a, b in zip(two, three, strict=True))


def _drawn_for(agent: Agent, act: str, batch: int) -> list[tuple[Kind, tuple[int, ...]]]:
    recorder = Recorder(torch.Generator().manual_seed(0))
    agent.act(torch.zeros(batch, agent.space.observation_dim), recorder, act)
    return [(kind, tuple(numbers.shape)) for kind, numbers in recorder.drawn]


def _draw(act: str, two: tuple[Kind, tuple[int, ...]], three: tuple[Kind, tuple[int, ...]]) -> Draw:
    kind, shape = two
    axes = [i for i, (a, b) in enumerate(zip(shape, three[1], strict=True)) if (a, b) == (2, 3)]
    if len(axes) != 1:
        raise ZooError(f"act '{act}' draws {list(shape)} numbers for 2 observations, no rows")
    axis = axes[0]
    return Draw(kind, shape[:axis] + shape[axis + 1 :], axis)


class Recorder(Noise):
    """Draws from a generator and keeps every draw.

    Attributes:
        drawn: The kind and the numbers of each draw.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.drawn: list[tuple[Kind, Tensor]] = []

    @override
    def normal(self, *shape: int) -> Tensor:
        return self._kept("normals", torch.randn(shape, generator=self.generator))

    @override
    def uniform(self, *shape: int) -> Tensor:
        return self._kept("uniforms", torch.rand(shape, generator=self.generator))

    def _kept(self, kind: Kind, numbers: Tensor) -> Tensor:
        self.drawn.append((kind, numbers))
        return numbers

    def rows(self, draws: Sequence[Draw]) -> dict[Kind, Tensor]:
        """The draws as matrices [B, K] and [B, L]; only those that the act needs."""
        found: dict[Kind, list[Tensor]] = {}
        for draw, (kind, numbers) in zip(draws, self.drawn, strict=True):
            found.setdefault(kind, []).append(numbers.movedim(draw.axis, 0).flatten(1))
        return {kind: torch.cat(parts, 1) for kind, parts in sorted(found.items())}


class RowNoise(Noise):
    """Deals the columns of matrices, in the order of an act's draws.

    Args:
        draws: Draws of the act, see `draws_of`.
        rows: `normals` [B, K] and `uniforms` [B, L], as far as the act needs them.
    """

    def __init__(self, draws: Sequence[Draw], rows: dict[Kind, Tensor]) -> None:
        self._draws = iter(draws)
        self._rows = rows
        self._start: dict[Kind, int] = {"normals": 0, "uniforms": 0}

    # The shapes asked for are not looked at: in a traced graph the batch has no number.
    @override
    def normal(self, *shape: int) -> Tensor:
        return self._deal()

    @override
    def uniform(self, *shape: int) -> Tensor:
        return self._deal()

    def _deal(self) -> Tensor:
        draw = next(self._draws)
        start = self._start[draw.kind]
        self._start[draw.kind] = stop = start + draw.size
        return self._rows[draw.kind][:, start:stop].reshape(-1, *draw.shape).movedim(0, draw.axis)


def width(draws: Sequence[Draw], kind: Kind) -> int:
    """The numbers of a kind per observation, K or L."""
    return sum(draw.size for draw in draws if draw.kind == kind)
