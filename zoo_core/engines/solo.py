"""One seed as plain modules: no functorch, and gradients of exactly the trained parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from zoo_core.agent import Agent
from zoo_core.batch import Batch
from zoo_core.engines.base import (
    Engine,
    EngineUpdate,
    Tapes,
    averaged_metrics,
    objective,
    tapes_of,
)
from zoo_core.errors import BrokenPlugin


class SoloEngine(Engine):
    """Runs the agent's own modules; see `Engine`."""

    stacked = False

    def __init__(self, agents: list[Agent]) -> None:
        super().__init__(agents)
        (self.agent,) = agents
        self.agent.requires_grad_(False)
        self._parameters: dict[str, list[Tensor]] = {}
        self._averages: dict[str, tuple[list[Tensor], list[Tensor]]] = {}

    @override
    def parameters_of(self, path: str) -> list[Tensor]:
        if path not in self._parameters:
            self._parameters[path] = list(self.agent.part(path).parameters())
        return self._parameters[path]

    @override
    def step(
        self,
        update: EngineUpdate,
        batch: Batch,
        tapes: Tapes,
        weights: Sequence[float],
        rates: Mapping[str, float],
    ) -> dict[str, Tensor]:
        trained = {path: self.parameters_of(path) for path in update.trains}
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
            own = list(gradients[position : position + len(part)])
            position += len(part)
            limit = update.trains[path].max_grad_norm
            if limit is not None:
                norm = torch.nn.utils.get_total_norm(own)
                torch._foreach_mul_(own, (limit / (norm + 1e-6)).clamp(max=1.0))
                metrics[f"{update.name}/{path}_grad_norm"] = norm
            self.optimizer(path).step(own, update.trains[path], rates[path])
        for metric, (buffer, rate) in averaged_metrics(update).items():
            self.agent.get_buffer(buffer).lerp_(metrics[metric], rate)
        return metrics

    @override
    def move_average(self, path: str, rate: float) -> None:
        if path not in self._averages:
            target: list[Tensor] = list(self.agent.part(f"target.{path}").parameters())
            self._averages[path] = (target, self.parameters_of(path))
        torch._foreach_lerp_(*self._averages[path], rate)

    @override
    def rebuild(self, path: str) -> None:
        self.agent.rebuild(path)

    @override
    def refresh(self) -> None:
        pass  # The modules are what is trained.

    @override
    def sync(self) -> list[Agent]:
        return [self.agent]
