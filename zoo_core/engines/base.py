"""What an engine does, and the objective that all engines differentiate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo_core.agent import Agent
from zoo_core.batch import Batch
from zoo_core.checkpoint import restore
from zoo_core.context import Context
from zoo_core.engines.memory import keep_freed_memory
from zoo_core.engines.optimizer import PartOptimizer
from zoo_core.errors import BadCheckpoint, BrokenPlugin
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
        self._optimizers: dict[str, PartOptimizer] = {}
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
    def parameters_of(self, path: str) -> list[Tensor]:
        """The parameters of the part at `path`, as they are trained."""

    @abstractmethod
    def rebuild(self, path: str) -> None:
        """Gives a part and its average their initial parameters again."""

    def reset(self, path: str) -> None:
        """Starts a part from scratch, with its average and what optimizers keep of it."""
        self.rebuild(path)
        for optimizer in self._optimizers.values():
            optimizer.forget(self.parameters_of(path))

    def optimizer(self, path: str) -> PartOptimizer:
        """The optimizer of the part at `path`, one for all updates and stages."""
        if path not in self._optimizers:
            self._optimizers[path] = PartOptimizer(self.parameters_of(path))
        return self._optimizers[path]

    @abstractmethod
    def sync(self) -> list[Agent]:
        """The agents with the current parameters."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the agents' states and the optimizers'."""
        return {
            "agents": [agent.state_dict() for agent in self.sync()],
            "optimizers": {path: o.state_dict() for path, o in self._optimizers.items()},
        }

    def load(self, state: Mapping[str, Any], trained: Collection[str], path: Path | str) -> None:
        """Takes over a state.

        Args:
            state: As `state` gives it.
            trained: The parts that the algorithm trains.
            path: The file, for messages.

        Raises:
            BadCheckpoint: it does not fit.
        """
        for agent, own in zip(self.agents, state["agents"], strict=True):
            restore(agent, own, path)
        self.refresh()
        for part, saved in state["optimizers"].items():
            if part not in trained:
                raise BadCheckpoint(f"{path} trains '{part}', which the algorithm does not")
            try:
                self.optimizer(part).load_state_dict(saved)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise BadCheckpoint(f"{path}: the optimizer of '{part}' differs: {error}") from None

    @abstractmethod
    def refresh(self) -> None:
        """Takes over the parameters that the agents' modules have."""


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


def averaged_metrics(update: EngineUpdate) -> dict[str, tuple[str, float]]:
    """Buffer name and rate by the full name of each metric that the core averages."""
    return {
        f"{update.name}/{metric}": (f"average_{metric}", average.rate)
        for term in update.terms
        for metric, average in term.averages.items()
    }
