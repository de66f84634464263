"""Several seeds as one stacked model: `torch.func.vmap` over parameters, batches and noise."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
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

Parameters = dict[str, Tensor]


class VmapEngine(Engine):
    """Stacks the agents' parameters, [S, ...] each; see `Engine`."""

    stacked = True

    def __init__(self, agents: list[Agent]) -> None:
        super().__init__(agents)
        for agent in agents:
            agent.requires_grad_(False)
        self.parameters, self.buffers = stack_module_state(list(agents))
        self.parameters = {name: p.detach() for name, p in self.parameters.items()}
        # Only its structure is called: `functional_call` puts the stacked parameters in.
        self.base = copy.deepcopy(agents[0])

    def names(self, path: str) -> list[str]:
        """The stacked parameters' names of the part at `path`."""
        prefix = path if path.startswith("target.") else f"live.{path}"
        return [name for name in self.parameters if name.startswith(f"{prefix}.")]

    @override
    def parameters_of(self, path: str) -> list[Tensor]:
        return [self.parameters[name] for name in self.names(path)]

    @override
    def step(
        self,
        update: EngineUpdate,
        batch: Batch,
        tapes: Tapes,
        weights: Sequence[float],
        rates: Mapping[str, float],
    ) -> dict[str, Tensor]:
        names = {path: self.names(path) for path in update.trains}
        trained = {name: self.parameters[name] for part in names.values() for name in part}
        constant = {name: p for name, p in self.parameters.items() if name not in trained}

        def loss(
            trained: Parameters,
            constant: Parameters,
            buffers: Parameters,
            batch: Batch,
            tapes: Tapes,
        ) -> tuple[Tensor, dict[str, Tensor]]:
            state = ({**constant, **trained}, buffers)
            arguments = (objective, batch, tapes_of(tapes), weights, update)
            result: tuple[Tensor, dict[str, Tensor]] = functional_call(self.base, state, arguments)
            return result

        gradients, (_, metrics) = vmap(grad_and_value(loss, has_aux=True))(
            trained, constant, self.buffers, batch, list(tapes)
        )
        for path, part in names.items():
            own = [gradients[name] for name in part]
            limit = update.trains[path].max_grad_norm
            if limit is not None:
                squares = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in own])
                norm = squares.sum(0).sqrt()
                factor = (limit / (norm + 1e-6)).clamp(max=1.0)
                own = [g * factor.view(-1, *[1] * (g.dim() - 1)) for g in own]
                metrics[f"{update.name}/{path}_grad_norm"] = norm
            self.optimizer(path).step(own, update.trains[path], rates[path])
        for metric, (buffer, rate) in averaged_metrics(update).items():
            self.buffers[buffer].lerp_(metrics[metric], rate)
        reported: dict[str, Tensor] = metrics
        return reported

    @override
    def move_average(self, path: str, rate: float) -> None:
        targets = self.names(f"target.{path}")
        live = [self.parameters["live." + name.removeprefix("target.")] for name in targets]
        torch._foreach_lerp_([self.parameters[name] for name in targets], live, rate)

    @override
    def rebuild(self, path: str) -> None:
        for agent in self.sync():
            agent.rebuild(path)
        self.refresh()

    @override
    def refresh(self) -> None:
        parameters, buffers = stack_module_state(list(self.agents))
        for name, value in parameters.items():
            self.parameters[name].copy_(value.detach())
        for name, value in buffers.items():
            self.buffers[name].copy_(value)

    @override
    def sync(self) -> list[Agent]:
        for position, agent in enumerate(self.agents):
            with torch.no_grad():
                for name, parameter in agent.named_parameters():
                    parameter.copy_(self.parameters[name][position])
                for name, buffer in agent.named_buffers():
                    buffer.copy_(self.buffers[name][position])
        return self.agents
