"""What a loss sees: parts, batch and noise, read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from torch import Tensor, nn
from torch.func import functional_call

from zoo_core.batch import Batch
from zoo_core.noise import Noise
from zoo_core.protocols import Critic, Sampler

if TYPE_CHECKING:
    from zoo_core.agent import Agent

R = TypeVar("R")


class Targets:
    """The averaged copies, read as `ctx.target.sampler`, `ctx.target.critic`, ..."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @property
    def sampler(self) -> Sampler:
        """The averaged sampler."""
        return cast(Sampler, self.part("sampler"))

    @property
    def critic(self) -> Critic:
        """The averaged critic."""
        return cast(Critic, self.part("critic"))

    def part(self, name: str) -> Any:
        """The averaged copy of any part."""
        return self._agent.part(f"target.{name}")


class _Entrance(nn.Module):
    """Lets `functional_call` reach a method of a module."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, method: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self.part, method)(*arguments, **options)


class _Constant:
    """The methods of a part, each called with detached parameters."""

    def __init__(self, part: nn.Module) -> None:
        self._entrance = _Entrance(part)
        self._detached = {name: p.detach() for name, p in self._entrance.named_parameters()}

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return functional_call(self._entrance, self._detached, (method, *arguments), options)

        return call


class Context:
    """Everything that a loss may read, and nothing of the optimizer or the step.

    Args:
        agent: The parts, live and averaged.
        batch: Of the update.
        noise: The term's own.
        shared: Results shared between the terms of one update.
    """

    def __init__(self, agent: Agent, batch: Batch, noise: Noise, shared: dict[str, Any]) -> None:
        self._agent = agent
        self._shared = shared
        self.batch = batch
        self.noise = noise
        self.target = Targets(agent)

    @property
    def sampler(self) -> Sampler:
        """The live sampler."""
        return cast(Sampler, self._agent.part("sampler"))

    @property
    def critic(self) -> Critic:
        """The live critic."""
        return cast(Critic, self._agent.part("critic"))

    def part(self, name: str) -> Any:
        """A part by its path: `value`, `sampler.prior`, `target.critic`."""
        return self._agent.part(name)

    def constant(self, name: str) -> Any:
        """A part whose parameters are constants: gradients pass to what its methods are given, and
        not to its weights. For an update that trains the part through another term."""
        return _Constant(self._agent.part(name))

    def once(self, key: str, compute: Callable[[], R]) -> R:
        """The result of `compute`, which runs once per update however many terms ask."""
        if key not in self._shared:
            self._shared[key] = compute()
        return cast(R, self._shared[key])

    def average(self, name: str) -> Tensor:
        """The running mean of a metric that the loss's spec lists under `averages`; a scalar."""
        return self._agent.average(name)
