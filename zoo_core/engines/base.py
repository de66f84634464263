"""What an engine does, and the objective that all engines differentiate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo_core.agent import Agent
from zoo_core.batch import Batch
from zoo_core.context import Context
from zoo_core.engines.memory import keep_freed_memory
from zoo_core.errors import BrokenPlugin
from zoo_core.noise import Noise, Tape
from zoo_core.specs import Adam, Average, Loss

Tapes = Sequence[tuple[Tensor, Tensor]]
"""Per term: the flat tapes of normal and uniform numbers of one step."""


@dataclass(frozen=True)
class EngineTerm:
    """A term whose loss is built."""

    name: str
    loss: Loss
    averages: Mapping[str, Average]


@dataclass(frozen=True)
class EngineUpdate:
    """An update whose losses are built."""

    name: str
    trains: Mapping[str, Adam]
    terms: tuple[EngineTerm, ...]


class Engine(ABC):
    """Holds the agents of some seeds and changes them by updates and averages.

    Args:
        agents: One per seed, each with its initial parameters.
    """

    stacked: bool
    """Whether batches and tapes have a leading dimension of seeds."""

    def __init__(self, agents: list[Agent]) -> None:
        self.agents = agents
        keep_freed_memory()

    @abstractmethod
    def step(
        self,
        update: EngineUpdate,
        batch: Batch,
        tapes: Tapes,
        weights: Sequence[float],
        rates: Mapping[str, float],
    ) -> dict[str, Tensor]:
        """One gradient step; gives the update's metrics, each [] or [S].

        Args:
            update: What to compute.
            batch: Normalised and rescaled.
            tapes: Per term.
            weights: Per term.
            rates: Learning rate by part.
        """

    @abstractmethod
    def move_average(self, path: str, rate: float) -> None:
        """target <- target + rate (live - target), for the part at `path`."""

    @abstractmethod
    def reset(self, name: str) -> None:
        """Starts a part, its average and its optimizer anew."""

    @abstractmethod
    def sync(self) -> list[Agent]:
        """The agents with the current parameters."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the agents' states and the optimizers'."""

    @abstractmethod
    def load(
        self, state: Mapping[str, Any], updates: Mapping[str, EngineUpdate], path: Path | str
    ) -> None:
        """Takes over a state; `updates` says for each trained part by which update.

        Raises:
            BadCheckpoint: it does not fit.
        """


def objective(
    agent: Agent,
    batch: Batch,
    noises: Sequence[Noise],
    weights: Sequence[float],
    update: EngineUpdate,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of an update's terms, and its detached metrics."""
    shared: dict[str, Any] = {}
    metrics: dict[str, Tensor] = {}
    total: Tensor | None = None
    for term, noise, weight in zip(update.terms, noises, weights, strict=True):
        result = term.loss(Context(agent, batch, noise, shared))
        loss, more = result if isinstance(result, tuple) else (result, {})
        if loss.dim() != 0:
            raise BrokenPlugin(
                f"loss '{term.name}' of update '{update.name}' has shape {list(loss.shape)}; "
                "it must be a scalar, such as a mean"
            )
        weighted = loss if weight == 1.0 else weight * loss
        total = weighted if total is None else total + weighted
        metrics[f"{update.name}/{term.name}"] = loss.detach()
        for name, value in more.items():
            metrics[f"{update.name}/{name}"] = value.detach()
    assert total is not None
    return total, metrics


def tapes_of(tapes: Tapes) -> list[Noise]:
    """The noise objects that deal the tapes."""
    return [Tape(normals, uniforms) for normals, uniforms in tapes]


def optimizer_of(parameters: list[Tensor], adam: Adam) -> torch.optim.Optimizer:
    """An elementwise Adam with one fused kernel for all of a part's parameters."""
    options: dict[str, Any] = {
        "lr": 0.0,
        "betas": (adam.beta1, adam.beta2),
        "eps": adam.eps,
        "weight_decay": adam.weight_decay,
        "fused": True,
    }
    return (torch.optim.AdamW if adam.decoupled else torch.optim.Adam)(parameters, **options)


def averaged_metrics(update: EngineUpdate) -> dict[str, tuple[str, float]]:
    """Buffer name and rate by the full name of each metric that the core averages."""
    return {
        f"{update.name}/{metric}": (f"average_{metric}", average.rate)
        for term in update.terms
        for metric, average in term.averages.items()
    }
