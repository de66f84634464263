"""An agent: the parts of one seed, live and averaged, and all that acting needs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo_core import acting, checkpoint
from zoo_core.batch import Batch
from zoo_core.data import OfflineData, Space, observation_moments, reward_scaling
from zoo_core.errors import BadCheckpoint, ZooError
from zoo_core.noise import Noise, stream_seed
from zoo_core.recipe import Recipe, resolve
from zoo_core.registry import Registry


class Agent(nn.Module):
    """The parts of one seed; acts on raw observations.

    Args:
        recipe: The resolved algorithm.
        space: Sizes of observations and actions.
        seed: Each part draws its initial parameters from a stream of its own of this seed.
        dtype: Of parameters and buffers, which parts may make in float64 for accuracy.

    Attributes:
        live: The parts by name.
        target: Their averages by name; what a stage does not average below a part is live.
    """

    observation_mean: Tensor
    observation_std: Tensor
    reward_shift: Tensor
    reward_scale: Tensor

    def __init__(
        self,
        recipe: Recipe,
        space: Space,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.space = space
        self.seed = seed
        self.live = nn.ModuleDict({name: self._build(name) for name in recipe.parts})
        self.target = nn.ModuleDict()
        for path in recipe.targets:
            name = path.partition(".")[0]
            if name not in self.target:
                self.target[name] = self._averaged(name)
        self.register_buffer("observation_mean", torch.zeros(space.observation_dim))
        self.register_buffer("observation_std", torch.ones(space.observation_dim))
        self.register_buffer("reward_shift", torch.zeros(()))
        self.register_buffer("reward_scale", torch.ones(()))
        for bound in recipe.losses.values():
            for metric, average in bound.spec.averages.items():
                self.register_buffer(f"average_{metric}", torch.tensor(average.initial))
        self.to(dtype)

    def _build(self, name: str) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(self.seed, "initial parameters", name))
            return self.recipe.parts[name].build(self.space)

    def _averaged(self, name: str) -> nn.Module:
        """A copy of a part in which only the averaged submodules are copies."""
        live = self.live[name]
        paths = [p for p in self.recipe.targets if p.partition(".")[0] == name]
        if name in paths:
            return copy.deepcopy(live)
        averaged = {
            id(parameter)
            for path in paths
            for parameter in live.get_submodule(path.partition(".")[2]).parameters()
        }
        shared = {id(p): p for p in live.parameters() if id(p) not in averaged}
        return copy.deepcopy(live, shared)

    def rebuild(self, path: str) -> None:
        """Gives a part, or one below it, and its average their initial parameters again, from the
        seed's own stream."""
        name, _, below = path.partition(".")
        with torch.no_grad():
            fresh = self._build(name).to(self.reward_scale).get_submodule(below).state_dict()
            self.live[name].get_submodule(below).load_state_dict(fresh)
            if name in self.target:
                self.target[name].get_submodule(below).load_state_dict(fresh)

    def fit_scaling(self, data: OfflineData) -> None:
        """Sets the observation normaliser and the reward rule from the data.

        Raises:
            ZooError: data of other sizes, with values that training cannot take (see
                `OfflineData.check_values`), or that the reward rule cannot rescale.
        """
        if data.space != self.space:
            raise ZooError(
                f"dataset '{data.name}' has {data.space.observation_dim} observation and "
                f"{data.space.action_dim} action dimensions; the agent has "
                f"{self.space.observation_dim} and {self.space.action_dim}"
            )
        data.check_values()
        if self.recipe.config.normalize_observations:
            mean, std = observation_moments(data)
            self.observation_mean.copy_(mean)
            self.observation_std.copy_(std)
        shift, scale = reward_scaling(data, self.recipe.config.reward)
        self.reward_shift.fill_(shift)
        self.reward_scale.fill_(scale)

    def largest_reward(self, data: OfflineData) -> float:
        """The largest magnitude of a rescaled reward."""
        shift, scale = float(self.reward_shift), float(self.reward_scale)
        return max(abs(float(extreme) - shift) * scale for extreme in data.rewards.aminmax())

    def part(self, path: str) -> nn.Module:
        """A part by its path: `sampler`, `sampler.prior`, `target.critic`."""
        if path.startswith("target."):
            return self.target.get_submodule(path.removeprefix("target."))
        return self.live.get_submodule(path)

    def average(self, name: str) -> Tensor:
        """The running mean of a metric, a scalar."""
        return self.get_buffer(f"average_{name}")

    def normalized(self, observations: Tensor) -> Tensor:
        """Raw observations [..., O] as the parts see them."""
        if not self.recipe.config.normalize_observations:
            return observations
        return (observations - self.observation_mean) / self.observation_std

    def scaled(self, batch: Batch) -> Batch:
        """A raw batch with observations normalised and rewards rescaled."""
        return Batch(
            observations=self.normalized(batch.observations),
            actions=batch.actions,
            rewards=(batch.rewards - self.reward_shift) * self.reward_scale,
            next_observations=self.normalized(batch.next_observations),
            terminations=batch.terminations,
            index=batch.index,
            columns=batch.columns,
            next_columns=batch.next_columns,
            mask=batch.mask,
        )

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls `function(self, *arguments)`: how the vmap engine enters with other parameters."""
        return function(self, *arguments)

    @torch.no_grad()
    def act(self, observations: Tensor, noise: Noise, act: str | None = None) -> Tensor:
        """Actions [B, A] in [-1, 1] for raw observations [B, O].

        Args:
            observations: As the environment gives them.
            noise: What the choice draws from, such as `GeneratorNoise(generator)`.
            act: A named act. Default: the headline.

        Raises:
            UnknownName: no such act.
            ZooError: observations of another type or shape, or with NaN or infinity.
        """
        chosen = self.recipe.act(act)
        if not isinstance(observations, Tensor):
            kind = type(observations).__name__
            raise ZooError(f"observations are of type {kind}; give a tensor [B, O]")
        own = observations.to(self.reward_scale)
        self._check(own)
        return acting.choose(self, chosen, self.normalized(own), noise).clamp(-1.0, 1.0)

    def _check(self, observations: Tensor) -> None:
        """Refuses what no action can follow from."""
        size = self.space.observation_dim
        if observations.dim() != 2 or observations.shape[1] != size:
            raise ZooError(f"observations {list(observations.shape)}, not [B, {size}]")
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if tracing or torch.compiler.is_compiling():
            return  # A graph branches on no value.
        if not bool(observations.isfinite().all()):
            row = int((~observations.isfinite().all(1)).nonzero()[0])
            raise ZooError(f"observations have NaN or infinity at row {row}")

    def save(self, path: Path | str) -> None:
        """Writes the agent to one file, by rename."""
        checkpoint.write(Path(path), {**self.description(), "agents": [self.state_dict()]})

    def description(self) -> dict[str, Any]:
        """What a checkpoint needs to build the agent again."""
        return {
            "algorithm": self.recipe.name,
            "settings": self.recipe.values(),
            "space": list(self.space),
            "seeds": [self.seed],
        }

    @classmethod
    def load(
        cls, path: Path | str, seed: int | None = None, registry: Registry | None = None
    ) -> Agent:
        """Reads an agent from a file that an agent or a trainer wrote.

        Args:
            path: The file.
            seed: Seed of a group. Default: the first.
            registry: Registered plugins. Default: the installed ones.

        Raises:
            BadCheckpoint: the file is damaged, or not a checkpoint, or lacks that seed.
        """
        content: Mapping[str, Any] = checkpoint.read(Path(path))
        seeds = list(content["seeds"])
        if seed is not None and seed not in seeds:
            raise BadCheckpoint(f"{path} holds the seeds {seeds}, not {seed}")
        position = 0 if seed is None else seeds.index(seed)
        recipe = resolve(content["algorithm"], content["settings"], registry=registry)
        state = content["agents"][position]
        dtype = next(t.dtype for t in state.values() if t.is_floating_point())
        agent = cls(recipe, Space(*content["space"]), seeds[position], dtype)
        checkpoint.restore(agent, state, path)
        return agent
