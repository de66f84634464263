"""Regression of a critic to values that were planned before."""

from collections.abc import Iterable

from torch import Tensor

from zoo_core import Config, Context, Critic, Loss, LossSpec, Metrics, hookimpl


class RegressConfig(Config):
    """Settings of the loss `regress`."""

    column: str = "targets"
    """The prepared column that holds the values, one per observation."""


def build(config: RegressConfig) -> Loss:
    """The loss."""

    def regress(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        q = context.critic.q(batch.observations, batch.actions)
        loss = (q - batch.columns[config.column]).square().mean(-1).sum(0)
        return loss, {"q_mean": q.mean()}

    return regress


SPEC = LossSpec(
    name="regress",
    config=RegressConfig,
    build=build,
    reads={"critic": (Critic,)},
    minimises="sum_e E_D[(Q_e(s, a) - R)^2] with R a prepared column",
    cite="Chen et al. 2023, arXiv:2209.14548, section 3.2",
    columns=lambda config: (config.column,),
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`regress`."""
    return (SPEC,)
