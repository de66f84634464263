"""One seed as plain modules: no functorch, and gradients of exactly the trained parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from zoo_core.agent import Agent
from zoo_core.batch import Batch
from zoo_core.checkpoint import restore
from zoo_core.engines.base import (
    Engine,
    EngineUpdate,
    Tapes,
    averaged_metrics,
    objective,
    optimizer_of,
    tapes_of,
)
from zoo_core.engines.flat import covering, flatten
from zoo_core.errors import BrokenPlugin


class SoloEngine(Engine):
    """Runs the agent's own modules; see `Engine`."""

    stacked = False

    def __init__(self, agents: list[Agent]) -> None:
        super().__init__(agents)
        (self.agent,) = agents
        self.agent.requires_grad_(False)
        self._flat = {
            f"{side}{name}": flatten(part)
            for side, parts in (("", self.agent.live), ("target.", self.agent.target))
            for name, part in parts.items()
            # A target that is partly live shares those parameters: it stays as it is.
            if not side or name in self.agent.recipe.targets
        }
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        self._parameters: dict[str, list[Tensor]] = {}
        self._vectors: dict[str, Tensor] = {}

    def parameters(self, path: str) -> list[Tensor]:
        """The parameters of the part at `path`."""
        if path not in self._parameters:
            self._parameters[path] = list(self.agent.part(path).parameters())
        return self._parameters[path]

    def vector(self, path: str) -> Tensor:
        """The same as one vector: writing to it writes to the modules."""
        if path not in self._vectors:
            target = "target." if path.startswith("target.") else ""
            name = target + path.removeprefix(target).partition(".")[0]
            if name not in self._flat:
                self._vectors[path] = flatten(self.agent.part(path))
            else:
                try:
                    self._vectors[path] = covering(self.parameters(path), self._flat[name])
                except ValueError as error:
                    raise BrokenPlugin(f"part '{path}' cannot be trained alone: {error}") from None
        return self._vectors[path]

    def optimizer(self, path: str, update: EngineUpdate) -> torch.optim.Optimizer:
        """The part's optimizer, which lives on from stage to stage."""
        if path not in self._optimizers:
            self._optimizers[path] = optimizer_of([self.vector(path)], update.trains[path])
        return self._optimizers[path]

    @override
    def step(
        self,
        update: EngineUpdate,
        batch: Batch,
        tapes: Tapes,
        weights: Sequence[float],
        rates: Mapping[str, float],
    ) -> dict[str, Tensor]:
        trained = {path: self.parameters(path) for path in update.trains}
        flat = [parameter for part in trained.values() for parameter in part]
        # Only what trains asks for a gradient, so that no product is computed for the rest.
        for parameter in flat:
            parameter.requires_grad_(True)
        try:
            total, metrics = objective(self.agent, batch, tapes_of(tapes), weights, update)
            if not total.requires_grad:
                trained_parts = ", ".join(update.trains)
                raise BrokenPlugin(
                    f"update '{update.name}' trains {trained_parts}, but no term depends on it"
                )
            gradients = torch.autograd.grad(total, flat, allow_unused=True, materialize_grads=True)
        finally:
            for parameter in flat:
                parameter.requires_grad_(False)
        position = 0
        for path, part in trained.items():
            own = gradients[position : position + len(part)]
            position += len(part)
            gradient = torch.cat([g.reshape(-1) for g in own])
            limit = update.trains[path].max_grad_norm
            if limit is not None:
                norm = torch.linalg.vector_norm(gradient)
                gradient *= (limit / (norm + 1e-6)).clamp(max=1.0)
                metrics[f"{update.name}/{path}_grad_norm"] = norm
            optimizer = self.optimizer(path, update)
            for group in optimizer.param_groups:
                group["lr"] = rates[path]
            vector = self.vector(path)
            vector.grad = gradient
            optimizer.step()
            vector.grad = None
        for metric, (buffer, rate) in averaged_metrics(update).items():
            self.agent.get_buffer(buffer).lerp_(metrics[metric], rate)
        return metrics

    @override
    def move_average(self, path: str, rate: float) -> None:
        self.vector(f"target.{path}").lerp_(self.vector(path), rate)

    @override
    def reset(self, name: str) -> None:
        self.agent.rebuild(name)
        for path in list(self._optimizers):
            if path.partition(".")[0] == name:
                del self._optimizers[path]

    @override
    def sync(self) -> list[Agent]:
        return [self.agent]

    @override
    def state(self) -> dict[str, Any]:
        return {
            "agents": [self.agent.state_dict()],
            "optimizers": {path: o.state_dict() for path, o in self._optimizers.items()},
        }

    @override
    def load(
        self, state: Mapping[str, Any], updates: Mapping[str, EngineUpdate], path: Path | str
    ) -> None:
        restore(self.agent, state["agents"][0], path)
        for part, saved in state["optimizers"].items():
            self.optimizer(part, updates[part]).load_state_dict(saved)
