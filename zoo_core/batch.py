"""A batch: what one training step sees of the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from zoo_core.data import OfflineData
from zoo_core.errors import Incompatible
from zoo_core.specs import Transitions, Windows


@dataclass(frozen=True)
class Batch:
    """B transitions (or B windows of H transitions, where each shape has a further H after B).

    Observations are normalised and rewards rescaled as the algorithm asks; actions are in [-1, 1].
    A leading dimension of seeds is there only inside the vmap engine, where losses never see it.
    """

    observations: Tensor
    """[B, O]"""
    actions: Tensor
    """[B, A]"""
    rewards: Tensor
    """[B]"""
    next_observations: Tensor
    """[B, O]"""
    terminations: Tensor
    """[B], 1.0 where the episode ended for good; truncations do not stop a bootstrap."""
    index: Tensor
    """[B], the transitions' positions in the data (int64)."""
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    """Prepared tensors at the observations, each [B, ...]."""
    next_columns: Mapping[str, Tensor] = field(default_factory=dict)
    """Prepared tensors at the next observations, each [B, ...]."""
    mask: Tensor | None = None
    """[B, H] for windows: 1.0 where the step lies inside the episode; None for transitions."""


def _flatten(batch: Batch) -> tuple[list[object], None]:
    return [
        batch.observations,
        batch.actions,
        batch.rewards,
        batch.next_observations,
        batch.terminations,
        batch.index,
        dict(batch.columns),
        dict(batch.next_columns),
        # A list, since vmap takes None for a leaf that it cannot map over.
        [] if batch.mask is None else [batch.mask],
    ], None


def _unflatten(values: Iterable[Any], _: None) -> Batch:
    (*fields, mask) = values
    return Batch(*fields, mask[0] if mask else None)  # type: ignore[call-arg]


# Lets torch.func.vmap map over a batch as it does over a tuple of tensors.
pytree.register_pytree_node(Batch, _flatten, _unflatten)


class _Prepared(dict[str, Tensor]):
    """Columns by name."""

    def __missing__(self, name: str) -> Tensor:
        raise Incompatible(
            f"a loss reads the column '{name}', which no stage has prepared by then; "
            f"prepared: {', '.join(sorted(self)) or 'none'}"
        )


class BatchStream:
    """Draws batches of a stage, from one generator per seed.

    Args:
        data: The logged episodes; moved to `device` as a whole.
        kind: Transitions or windows.
        generators: One per seed, on the CPU.
        columns: Per seed, the prepared tensors, each [N + E, ...].
        stacked: Whether batches have a leading dimension of seeds (the vmap engine).
        dtype: Floating type of the batches.
        device: Where the batches are.
    """

    def __init__(
        self,
        data: OfflineData,
        kind: Transitions | Windows,
        generators: list[torch.Generator],
        columns: list[dict[str, Tensor]],
        *,
        stacked: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.kind, self.generators, self.stacked = kind, generators, stacked
        self.device = device
        # Copies go to another device or type only; on the CPU the mapped files serve as they are.
        self.observations = data.observations.to(device, dtype)
        self.actions = data.actions.to(device, dtype)
        self.rewards = data.rewards.to(device, dtype)
        self.terminations = data.terminations.to(device)
        self.rows = data.rows.to(device)
        self.columns = [{k: v.to(device) for k, v in own.items()} for own in columns]
        self.size = len(data)
        self.dtype = dtype
        if isinstance(kind, Windows):
            ends = torch.repeat_interleave(data.starts[1:], data.lengths) - 1
            self.last = ends.to(device)

    def draw(self) -> Batch:
        """The next batch, raw: neither observations nor rewards are rescaled."""
        draws = [torch.randint(self.size, (self.kind.size,), generator=g) for g in self.generators]
        return self.at(torch.stack(draws) if self.stacked else draws[0])

    def at(self, index: Tensor) -> Batch:
        """The batch of the transitions (or windows that start) at `index` [B] or [S, B]."""
        index = index.to(self.device)
        mask = None
        if isinstance(self.kind, Windows):
            steps = index[..., None] + torch.arange(self.kind.horizon, device=self.device)
            last = self.last[index][..., None]
            mask = (steps <= last).to(self.dtype)
            index = steps.minimum(last)
        rows = self.rows[index]
        return Batch(
            observations=self.observations[rows],
            actions=self.actions[index],
            rewards=self.rewards[index],
            next_observations=self.observations[rows + 1],
            terminations=self.terminations[index].to(self.dtype),
            index=index,
            columns=self._columns(rows),
            next_columns=self._columns(rows + 1),
            mask=mask,
        )

    def _columns(self, rows: Tensor) -> dict[str, Tensor]:
        def typed(column: Tensor) -> Tensor:
            return column.to(self.dtype) if column.is_floating_point() else column

        if not self.stacked:
            return _Prepared(
                {name: typed(column[rows]) for name, column in self.columns[0].items()}
            )
        return {
            name: torch.stack(
                [typed(own[name][r]) for own, r in zip(self.columns, rows, strict=True)]
            )
            for name in self.columns[0]
        }
