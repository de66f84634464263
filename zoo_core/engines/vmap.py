"""Several seeds as one stacked model: `torch.func.vmap` over parameters, batches and noise."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
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
        self._optimizers: dict[str, torch.optim.Optimizer] = {}

    def names(self, path: str) -> list[str]:
        """The stacked parameters' names of the part at `path`."""
        prefix = path if path.startswith("target.") else f"live.{path}"
        return [name for name in self.parameters if name.startswith(f"{prefix}.")]

    def optimizer(self, path: str, update: EngineUpdate) -> torch.optim.Optimizer:
        """The part's optimizer over stacked parameters."""
        if path not in self._optimizers:
            stacked = [self.parameters[name] for name in self.names(path)]
            self._optimizers[path] = optimizer_of(stacked, update.trains[path])
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
            optimizer = self.optimizer(path, update)
            for group in optimizer.param_groups:
                group["lr"] = rates[path]
            for name, gradient in zip(part, own, strict=True):
                self.parameters[name].grad = gradient
            optimizer.step()
            for name in part:
                self.parameters[name].grad = None
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
    def reset(self, name: str) -> None:
        for agent in self.sync():
            agent.rebuild(name)
        self._restack()
        for path in list(self._optimizers):
            if path.partition(".")[0] == name:
                del self._optimizers[path]

    def _restack(self) -> None:
        """Copies the agents' own parameters and buffers into the stack."""
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

    @override
    def state(self) -> dict[str, Any]:
        return {
            "agents": [agent.state_dict() for agent in self.sync()],
            "optimizers": {path: o.state_dict() for path, o in self._optimizers.items()},
        }

    @override
    def load(
        self, state: Mapping[str, Any], updates: Mapping[str, EngineUpdate], path: Path | str
    ) -> None:
        for agent, own in zip(self.agents, state["agents"], strict=True):
            restore(agent, own, path)
        self._restack()
        for part, saved in state["optimizers"].items():
            self.optimizer(part, updates[part]).load_state_dict(saved)
