"""In-support softmax Q-learning: temporal differences over actions drawn beforehand."""

from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Tensor

from zoo_core import (
    Config,
    Context,
    Critic,
    Loss,
    LossSpec,
    Metrics,
    Reduction,
    hookimpl,
    reduction,
)


class SupportTdConfig(Config):
    """Settings of the loss `support_td`."""

    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    reduce: Reduction = "softmax(1.0)"
    """How members and the support's actions become one next value."""
    column: str = "support"
    """The prepared column with actions [M, A] of each observation."""


def build(config: SupportTdConfig) -> Loss:
    """The loss."""
    reduce = reduction(config.reduce)

    def support_td(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        with torch.no_grad():
            support = batch.next_columns[config.column].transpose(0, 1)
            value = reduce(context.target.critic.q(batch.next_observations, support))
            target = batch.rewards + config.discount * (1.0 - batch.terminations) * value
        q = context.critic.q(batch.observations, batch.actions)
        loss = (q - target).square().mean()
        return loss, {"q_mean": q.mean(), "target_mean": target.mean()}

    return support_td


SPEC = LossSpec(
    name="support_td",
    config=SupportTdConfig,
    build=build,
    reads={"critic": (Critic,), "target.critic": (Critic,)},
    minimises="mean_e E_D[(Q_e(s, a) - r - gamma (1 - terminated) "
    "sum_i softmax_i(beta Q(s', a'_i)) Q(s', a'_i))^2] with a'_i a prepared column",
    cite="Lu et al. 2023, arXiv:2304.12824, section 4.2",
    columns=lambda config: (config.column,),
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`support_td`."""
    return (SPEC,)
