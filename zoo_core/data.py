"""Logged episodes as flat tensors, in order, and how their rewards are rescaled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from zoo_core.config import RewardRule
from zoo_core.errors import ZooError


class Space(NamedTuple):
    """Sizes of a problem with vector observations and continuous actions in [-1, 1]."""

    observation_dim: int
    action_dim: int


@dataclass(frozen=True)
class OfflineData:
    """E episodes with N transitions in all, kept in order with their borders.

    An episode of T transitions has T + 1 observations, so that successors need no second copy:
    transition i of episode e has its observation at row i + e and its successor one row later.
    The tensors may be memory-mapped; nothing here copies or changes them.

    Raises:
        ZooError: shapes that do not fit together, or no transition at all.
    """

    observations: Tensor
    """[N + E, O], float32."""
    actions: Tensor
    """[N, A], float32, in [-1, 1]."""
    rewards: Tensor
    """[N], float32, as logged."""
    terminations: Tensor
    """[N], bool: the episode ended for good at this transition."""
    truncations: Tensor
    """[N], bool: the episode was cut at this transition."""
    lengths: Tensor
    """[E], int64: transitions per episode."""
    name: str = "data"
    """What messages call it: a dataset id or expression."""
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    """What earlier stages prepared, each [N + E, ...]; filled in where a stage prepares more."""

    def __post_init__(self) -> None:
        n, episodes = len(self), len(self.lengths)
        if n == 0:
            raise ZooError(f"dataset '{self.name}' is empty: it has no transition")
        sizes = {"rewards": self.rewards, "terminations": self.terminations}
        for label, tensor in {**sizes, "truncations": self.truncations}.items():
            if tensor.shape != (n,):
                raise ZooError(f"dataset '{self.name}': {label} {list(tensor.shape)}, not [{n}]")
        if int(self.lengths.sum()) != n or int(self.lengths.min()) < 1:
            raise ZooError(f"dataset '{self.name}': the episodes' lengths do not add up to {n}")
        if self.observations.dim() != 2 or len(self.observations) != n + episodes:
            raise ZooError(
                f"dataset '{self.name}': {list(self.observations.shape)} observations; "
                f"{n} transitions in {episodes} episodes need [{n + episodes}, O]"
            )

    def __len__(self) -> int:
        """The number of transitions N."""
        return len(self.actions)

    @property
    def space(self) -> Space:
        """The sizes of observations and actions."""
        return Space(self.observations.shape[1], self.actions.shape[1])

    @cached_property
    def rows(self) -> Tensor:
        """[N], int64: the row of each transition's observation; its successor's is one more."""
        episode = torch.repeat_interleave(torch.arange(len(self.lengths)), self.lengths)
        return torch.arange(len(self)) + episode

    @cached_property
    def starts(self) -> Tensor:
        """[E + 1], int64: the first transition of each episode, then N."""
        return torch.cat([torch.zeros(1, dtype=torch.int64), self.lengths.cumsum(0)])

    @cached_property
    def digest(self) -> str:
        """A hash of the contents: 16 hexadecimal digits."""
        sha = hashlib.sha256()
        for tensor in (
            self.observations,
            self.actions,
            self.rewards,
            self.terminations,
            self.truncations,
            self.lengths,
        ):
            sha.update(str((tuple(tensor.shape), tensor.dtype)).encode())
            for chunk in torch.split(tensor, 1 << 18):
                sha.update(chunk.contiguous().numpy().tobytes())
        return sha.hexdigest()[:16]

    def episode_returns(self) -> Tensor:
        """[E], float64: the sum of each episode's logged rewards."""
        total = torch.cat([torch.zeros(1, dtype=torch.float64), self.rewards.double().cumsum(0)])
        return total[self.starts[1:]] - total[self.starts[:-1]]

    def check_values(self) -> None:
        """Reads everything once.

        Raises:
            ZooError: NaN or infinite numbers, or actions outside [-1, 1].
        """
        for label in ("observations", "actions", "rewards"):
            tensor = getattr(self, label)
            if not bool(torch.isfinite(tensor).all()):
                where = int((~torch.isfinite(tensor.reshape(len(tensor), -1)).all(1)).nonzero()[0])
                raise ZooError(f"dataset '{self.name}': {label} has NaN or infinity at row {where}")
        if float(self.actions.abs().max()) > 1.0 + 1e-5:
            raise ZooError(f"dataset '{self.name}': actions leave [-1, 1]; scale them first")

    @classmethod
    def from_episodes(
        cls, episodes: Iterable[Mapping[str, Tensor]], name: str = "data"
    ) -> OfflineData:
        """Joins episodes, each a mapping with observations [T + 1, O], actions [T, A],
        rewards [T], terminations [T] and truncations [T]."""
        listed = list(episodes)
        if not listed:
            raise ZooError(f"dataset '{name}' is empty: it has no episode")

        def joined(key: str, dtype: torch.dtype) -> Tensor:
            return torch.cat([torch.as_tensor(episode[key]).to(dtype) for episode in listed])

        return cls(
            observations=joined("observations", torch.float32),
            actions=joined("actions", torch.float32),
            rewards=joined("rewards", torch.float32),
            terminations=joined("terminations", torch.bool),
            truncations=joined("truncations", torch.bool),
            lengths=torch.tensor([len(episode["actions"]) for episode in listed]),
            name=name,
        )


class Affine(NamedTuple):
    """x -> (x - shift) * scale."""

    shift: float
    scale: float


def reward_scaling(data: OfflineData, rule: RewardRule) -> Affine:
    """How rewards are rescaled: r -> (r - shift) scale.

    - `none`: as logged.
    - `standardise`: zero mean and unit sample deviation (Diffusion-QL's "normalize").
    - `unit_range`: the least to -1, the greatest to 1 (EDP on adroit and kitchen).
    - `return_range`: times 1000 / (best - worst episode return) (IQL on locomotion; Diffusion-QL's
      code joins what a time-out cut, here an episode is an episode).
    - `minus_one`: r - 1 (IQL on AntMaze).
    - `antmaze`: 4 (r - 0.5) (CQL and Diffusion-QL on AntMaze).
    """
    if rule == "standardise":
        rewards = data.rewards.double()
        spread = float(rewards.std()) if len(rewards) > 1 else 1.0
        return Affine(float(rewards.mean()), 1.0 / max(spread, 1e-8))
    if rule == "unit_range":
        least, greatest = float(data.rewards.min()), float(data.rewards.max())
        return Affine(0.5 * (least + greatest), 2.0 / max(greatest - least, 1e-8))
    if rule == "return_range":
        returns = data.episode_returns()
        return Affine(0.0, 1000.0 / max(float(returns.max() - returns.min()), 1e-8))
    if rule == "minus_one":
        return Affine(1.0, 1.0)
    if rule == "antmaze":
        return Affine(0.5, 4.0)
    return Affine(0.0, 1.0)


def observation_moments(data: OfflineData, epsilon: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Mean [O] and standard deviation + epsilon [O] of the observations that start a transition
    (TD3+BC section 5; the official code's epsilon is 1e-3)."""
    total = torch.zeros(data.space.observation_dim, dtype=torch.float64)
    square = torch.zeros_like(total)
    # Shifting by the first row keeps the sums of squares accurate far from zero.
    origin = data.observations[0].double()
    for rows in torch.split(data.rows, 1 << 18):
        chunk = data.observations[rows].double() - origin
        total += chunk.sum(0)
        square += chunk.square().sum(0)
    mean = total / len(data)
    variance = (square / len(data) - mean.square()).clamp(min=0.0)
    return (mean + origin).float(), (variance.sqrt() + epsilon).float()
