"""Logged episodes as flat tensors, in order, and how their rewards are rescaled."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from zoo_core.config import RewardRule
from zoo_core.episodes import merged, tensors_of
from zoo_core.errors import ZooError, ZooWarning

LARGEST = 1e18
"""Magnitude from which on float32 cannot hold a number's square with room to spare."""


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
    ends: tuple[int, ...] = (-1,)
    """Indices of the episodes with which a collection ended, which it may have cut off. Default:
    the last episode; data joined of several collections have one for each."""

    def __post_init__(self) -> None:
        self._check_types()
        n, episodes = len(self), len(self.lengths)
        if n == 0:
            raise ZooError(f"dataset '{self.name}' is empty: it has no transition")
        if self.actions.dim() != 2 or self.actions.shape[1] == 0:
            raise ZooError(
                f"dataset '{self.name}': actions {list(self.actions.shape)}, not [{n}, A] with A "
                "at least 1"
            )
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
        if any(not -episodes <= end < episodes for end in self.ends):
            raise ZooError(
                f"dataset '{self.name}': ends {list(self.ends)} of {episodes} episodes; they are "
                "indices of episodes"
            )
        for label, column in self.columns.items():
            if len(column) != n + episodes:
                raise ZooError(
                    f"dataset '{self.name}': column '{label}' {list(column.shape)} needs "
                    f"{n + episodes} rows, one for each observation"
                )

    def _check_types(self) -> None:
        """Refuses what is no plain tensor on the CPU of a type that fits."""
        for label, kind in _KINDS.items():
            tensor = getattr(self, label)
            _check_tensor(tensor, f"dataset '{self.name}': {label}")
            if tensor.dtype not in kind:
                names = ", ".join(str(dtype).removeprefix("torch.") for dtype in kind)
                raise ZooError(f"dataset '{self.name}': {label} is {tensor.dtype}, not {names}")
        for label, column in self.columns.items():
            # Stages may prepare columns on the device that they train on.
            _check_tensor(column, f"dataset '{self.name}': column '{label}'", anywhere=True)

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
        return torch.arange(len(self)) + self._episodes()

    def _episodes(self) -> Tensor:
        """[N], int64: the episode of each transition."""
        return torch.repeat_interleave(torch.arange(len(self.lengths)), self.lengths)

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

    @cached_property
    def complete(self) -> Tensor:
        """[E], bool: whether an episode ended by itself, and not with the collection.

        The data hold no time limit, so that the longest episode stands for it. Shorter episodes
        that did not terminate were cut off, if at least half of the others that did not terminate
        reached that length; `ends`, which are the ones in doubt, are not among these others. Where
        most others are shorter too, as in human demonstrations and where a goal ends the episode,
        truncation has reasons other than a limit, and every episode is complete.
        """
        unfinished = ~self.terminations[self.starts[1:] - 1]
        short = unfinished & (self.lengths < self.lengths.max())
        others = unfinished.clone()
        others[list(self.ends)] = False
        if int((others & short).sum()) > int((others & ~short).sum()):
            return torch.ones_like(short)
        return ~short

    def episode_returns(self) -> Tensor:
        """[E], float64: the sum of each episode's logged rewards."""
        total = torch.zeros(len(self.lengths), dtype=torch.float64)
        return total.index_add_(0, self._episodes(), self.rewards.double())

    def check_values(self) -> None:
        """Reads everything once, prepared columns too.

        Raises:
            ZooError: NaN, infinite numbers or numbers too large for float32, actions outside
                [-1, 1], or an episode's end before its last transition; names array and row.
        """
        for label, bound in {
            "observations": LARGEST,
            "actions": 1.0 + 1e-5,
            "rewards": LARGEST,
        }.items():
            tensor = getattr(self, label).reshape(len(getattr(self, label)), -1)
            if tensor.numel() == 0:
                continue
            low, high = (float(extreme) for extreme in tensor.aminmax())
            if -bound <= low and high <= bound:
                continue
            # In float64, since in float32 the bound itself is rounded.
            beyond = ~(tensor.double().abs() <= bound)
            row = int(beyond.any(1).nonzero()[0])
            value = float(tensor[row][beyond[row]][0])
            raise ZooError(f"dataset '{self.name}': {_problem(label, row, value)}")
        for label, column in self.columns.items():
            if not bool(column.isfinite().all()):
                row = int((~column.isfinite()).reshape(len(column), -1).any(1).nonzero()[0])
                raise ZooError(
                    f"dataset '{self.name}': column '{label}' has NaN or infinity at row {row}"
                )
        inside = torch.ones(len(self), dtype=torch.bool)
        inside[self.starts[1:] - 1] = False
        for label in ("terminations", "truncations"):
            early = getattr(self, label) & inside
            if bool(early.any()):
                row = int(early.nonzero()[0])
                raise ZooError(
                    f"dataset '{self.name}': {label} has True at row {row}, inside of an episode; "
                    "cut episodes there"
                )

    @classmethod
    def from_episodes(
        cls, episodes: Iterable[Mapping[str, Tensor]], name: str = "data"
    ) -> OfflineData:
        """Joins episodes, each a mapping with observations [T + 1, O], actions [T, A],
        rewards [T], terminations [T] and truncations [T].

        Warns:
            ZooWarning: float32 cannot tell apart successive observations or rewards.

        Raises:
            ZooError: no episode, or one whose arrays do not fit together; names it by its number.
        """
        listed = list(episodes)
        if not listed:
            raise ZooError(f"dataset '{name}' is empty: it has no episode")
        tensors = [
            tensors_of(each, f"dataset '{name}', episode {i}") for i, each in enumerate(listed)
        ]

        for key in ("observations", "actions"):
            widths = [episode[key].shape[1] for episode in tensors]
            other = next((i for i, width in enumerate(widths) if width != widths[0]), None)
            if other is not None:
                raise ZooError(
                    f"dataset '{name}', episode {other}: {key} of {widths[other]} dimensions, "
                    f"where episode 0 has {widths[0]}"
                )

        for key in ("observations", "rewards"):
            for note in merged(key, [episode[key] for episode in tensors], name):
                warnings.warn(note, ZooWarning, stacklevel=2)

        def joined(key: str, dtype: torch.dtype) -> Tensor:
            return torch.cat([episode[key].to(dtype) for episode in tensors])

        return cls(
            observations=joined("observations", torch.float32),
            actions=joined("actions", torch.float32),
            rewards=joined("rewards", torch.float32),
            terminations=joined("terminations", torch.bool),
            truncations=joined("truncations", torch.bool),
            lengths=torch.tensor([len(episode["actions"]) for episode in tensors]),
            name=name,
        )


_FLOATS = (torch.float32, torch.float64, torch.float16)
_KINDS = {
    "observations": _FLOATS,
    "actions": _FLOATS,
    "rewards": _FLOATS,
    "terminations": (torch.bool,),
    "truncations": (torch.bool,),
    "lengths": (torch.int64,),
}
"""The types that each array of `OfflineData` may have."""


def _check_tensor(tensor: object, what: str, *, anywhere: bool = False) -> None:
    """Refuses anything but a dense tensor with rows and without gradients, on the CPU or
    `anywhere`."""
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise ZooError(f"{what} is a {kind}, not a tensor (torch.as_tensor makes one)")
    if not anywhere and tensor.device.type != "cpu":
        raise ZooError(f"{what} is on {tensor.device}, not the CPU")
    if tensor.layout != torch.strided:
        raise ZooError(f"{what} is sparse; use its to_dense()")
    if tensor.requires_grad:
        raise ZooError(f"{what} requires a gradient; use its detach()")
    if tensor.dim() == 0:
        raise ZooError(f"{what} is one number, not rows")


def _problem(label: str, row: int, value: float) -> str:
    """A value that training cannot take, in words."""
    if not math.isfinite(value):
        return f"{label} has NaN or infinity at row {row}"
    if label == "actions":
        return f"actions leave [-1, 1] at row {row} ({value:g}); scale them first"
    return f"{label} has {value:g} at row {row}, which is too large for float32 to train on"


class Affine(NamedTuple):
    """x -> (x - shift) * scale."""

    shift: float
    scale: float


SAME = 1e-6
"""Numbers whose range is at most this share of their magnitude are equal up to rounding."""
FINEST = 1e-3
"""Returns whose range is at most this share of the largest reward are equal to `return_range`:
what it gives stays below 1000 / `FINEST`."""
_SMALLEST = 1e3 * torch.finfo(torch.float32).tiny
_FIXED = {"none": Affine(0.0, 1.0), "minus_one": Affine(1.0, 1.0), "antmaze": Affine(0.5, 4.0)}


def reward_scaling(data: OfflineData, rule: RewardRule) -> Affine:
    """Shift and scale of the rewards: r -> (r - shift) scale.

    - `none`: as logged.
    - `standardise`: zero mean and unit sample deviation (Diffusion-QL's "normalize").
    - `unit_range`: scales rewards to [-1, 1] (EDP on adroit and kitchen).
    - `return_range`: times 1000 / (best - worst return of a complete episode) (IQL on locomotion).
      As in CORL, an episode that the end of the collection cut off does not count: see
      `OfflineData.complete`. Diffusion-QL's code joins what a time-out cut, here an episode is an
      episode.
    - `minus_one`: r - 1 (IQL on AntMaze).
    - `antmaze`: 4 (r - 0.5) (CQL and Diffusion-QL on AntMaze).

    Raises:
        ZooError: the rule divides by a range of rewards or returns that are equal up to rounding.
    """
    if rule in _FIXED:
        return _FIXED[rule]
    low, high = (float(extreme) for extreme in data.rewards.aminmax())
    numbers, kind, share = data.rewards.double(), "rewards", SAME
    if rule == "return_range":
        numbers, kind = data.episode_returns()[data.complete], "returns of complete episodes"
        share = FINEST
    spread = float(numbers.max() - numbers.min())
    if not spread > max(share * max(-low, high), _SMALLEST):
        equal = f"all {len(numbers)} are {float(numbers[0]):g} up to rounding"
        raise ZooError(
            f"dataset '{data.name}': reward rule '{rule}' needs different {kind}; "
            f"{equal if len(numbers) > 1 else 'there is one'}; set reward=none"
        )
    if rule == "standardise":
        return Affine(float(numbers.mean()), 1.0 / float(numbers.std()))
    if rule == "unit_range":
        return Affine(0.5 * (low + high), 2.0 / spread)
    return Affine(0.0, 1000.0 / spread)


def observation_moments(data: OfflineData, epsilon: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Mean [O] and divisor [O] of the observations that start a transition: standard deviation +
    epsilon (TD3+BC section 5; the official code's epsilon is 1e-3).

    In a column that varies by less than epsilon, such as one in units of 1e-7, epsilon is the
    deviation itself, so that it is seen at half of unit scale; unless it is constant up to rounding
    (a deviation of at most `SAME` of its magnitude).
    """
    total = torch.zeros(data.space.observation_dim, dtype=torch.float64)
    square = torch.zeros_like(total)
    # Shifting by the first row keeps the sums of squares accurate far from zero.
    origin = data.observations[0].double()
    for rows in torch.split(data.rows, 1 << 18):
        chunk = data.observations[rows].double() - origin
        total += chunk.sum(0)
        square += chunk.square().sum(0)
    shift = total / len(data)
    std = (square / len(data) - shift.square()).clamp(min=0.0).sqrt()
    mean = shift + origin
    constant = std <= SAME * mean.abs().maximum(origin.abs())
    added = torch.where(constant, epsilon, std.clamp(max=epsilon))
    return mean.float(), (std + added).float()
