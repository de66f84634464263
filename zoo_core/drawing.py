"""Actions that a sampler draws once for every stored observation, to be kept as a column."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

import click
import torch
from torch import Tensor

from zoo_core.data import OfflineData
from zoo_core.noise import Noise
from zoo_core.protocols import Sampler

if TYPE_CHECKING:
    from zoo_core.agent import Agent

ROWS = 1024
"""Observations whose actions are drawn at a time."""

_LISTENER: ContextVar[Callable[[float], None] | None] = ContextVar("_LISTENER", default=None)


@contextlib.contextmanager
def reported(listener: Callable[[float], None]) -> Iterator[None]:
    """Within the block, `listener` is told the share done of what is drawn, in (0, 1]."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def drawn_actions(
    agent: Agent, data: OfflineData, noise: Noise, count: int, part: str = "sampler"
) -> Tensor:
    """Actions [N + E, count, A] of a sampler, `count` for every stored observation.

    They are drawn in batches. Whoever listens (`reported`) is told of each; where nobody does,
    there is a progress bar on stderr if that is a terminal.

    Args:
        agent: Whose part draws.
        data: As logged; the agent normalises the observations.
        noise: What is drawn from.
        count: Actions per observation.
        part: The sampler's path, such as `sampler.prior`.
    """
    sampler = cast(Sampler, agent.part(part))
    chunks = torch.split(data.observations, ROWS)
    drawn = []
    for chunk in _shown(chunks, f"drawing {count} actions for each of {len(data.observations)}"):
        observations = agent.normalized(chunk.to(agent.reward_scale))
        drawn.append(sampler.sample(observations, noise, count).transpose(0, 1).cpu())
    return torch.cat(drawn)


def _shown(chunks: Sequence[Tensor], label: str) -> Iterable[Tensor]:
    """The chunks; tells the listener of each, or shows a progress bar if there are several."""
    listener = _LISTENER.get()
    if listener is not None:
        for done, chunk in enumerate(chunks, 1):
            yield chunk
            listener(done / len(chunks))
        return
    if len(chunks) == 1 or not sys.stderr.isatty():
        yield from chunks
        return
    with click.progressbar(chunks, label=label, file=sys.stderr) as bar:
        yield from bar
