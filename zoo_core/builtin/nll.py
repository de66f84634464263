"""Behaviour cloning for every family of samplers."""

from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import HasNll
from zoo_core.specs import Loss, LossSpec, Metrics


class NllConfig(Config):
    """Settings of the loss `nll`: none."""


def build(config: NllConfig) -> Loss:
    """The loss."""

    def nll(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        loss = context.sampler.nll(batch.observations, batch.actions, context.noise).mean()
        return loss, {}

    return nll


SPEC = LossSpec(
    name="nll",
    config=NllConfig,
    build=build,
    reads={"sampler": (HasNll,)},
    minimises="E_D[nll(a | s)]: squared error, -log p or denoising error, as the sampler defines",
)
