"""Cloning without some of the episodes, whose denoising error is reported."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from zoo_core import (
    Agent,
    Columns,
    Config,
    Context,
    HasNll,
    Loss,
    LossSpec,
    Metrics,
    Noise,
    OfflineData,
    ZooError,
    hookimpl,
)

COLUMN = "held_out"


def hold_out(share: float) -> Callable[[Agent, OfflineData, Noise], Columns]:
    """A stage's `prepare` that holds out a share of the episodes, at least one of them."""

    def prepare(agent: Agent, data: OfflineData, noise: Noise) -> Columns:
        """The column `held_out`: 0 where the model learns, else N over the transitions held out."""
        episodes = len(data.lengths)
        count = max(round(share * episodes), 1)
        if count >= episodes:
            raise ZooError(f"held_out: {count} of {episodes} episodes would leave none to learn")
        chosen = noise.uniform(episodes).argsort()[:count].cpu()
        weights = torch.zeros(episodes)
        weights[chosen] = len(data) / data.lengths[chosen].sum()
        # An episode of T transitions has T + 1 rows.
        return {COLUMN: torch.repeat_interleave(weights, data.lengths + 1)}

    return prepare


class HeldOutNllConfig(Config):
    """Settings of the loss `held_out_nll`: none."""


def build(config: HeldOutNllConfig) -> Loss:
    """The loss."""

    def held_out_nll(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        nll = context.sampler.nll(batch.observations, batch.actions, context.noise)
        weight = batch.columns[COLUMN]
        kept = (weight == 0.0).to(nll)
        loss = (kept * nll).sum() / kept.sum().clamp(min=1.0)
        # The weights make the mean over batches that of the held-out transitions.
        return loss, {"held_out": (weight * nll).mean()}

    return held_out_nll


SPEC = LossSpec(
    name="held_out_nll",
    config=HeldOutNllConfig,
    build=build,
    reads={"sampler": (HasNll,)},
    minimises="E[nll(a | s)] over the episodes that are not held out",
    columns=(COLUMN,),
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`held_out_nll`."""
    return (SPEC,)
