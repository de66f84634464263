"""Policy improvement by the plain value of the policy's actions."""

from collections.abc import Iterable

from torch import Tensor

from zoo_core import Config, Context, Critic, Loss, LossSpec, Metrics, Sampler, hookimpl


class DPGConfig(Config):
    """Settings of the loss `dpg`: none."""


def build(config: DPGConfig) -> Loss:
    """The loss."""

    def dpg(context: Context) -> tuple[Tensor, Metrics]:
        observations = context.batch.observations
        actions = context.sampler.sample(observations, context.noise, 1)[0]
        value = context.critic.q(observations, actions, 1)[0].mean()
        return -value, {"q_policy": value}

    return dpg


SPEC = LossSpec(
    name="dpg",
    config=DPGConfig,
    build=build,
    reads={"sampler": (Sampler,), "critic": (Critic,)},
    minimises="-E_D[Q_1(s, pi(s))]: the deterministic policy gradient of the first critic",
    cite="Silver et al. 2014; BCQ, arXiv:1812.02900, equation 13",
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`dpg`."""
    return (SPEC,)
