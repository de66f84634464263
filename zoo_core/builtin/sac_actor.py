"""Soft policy improvement: SAC's actor."""

from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Critic, Dual, HasLogProb
from zoo_core.reductions import Members, over_members
from zoo_core.specs import Loss, LossSpec, Metrics


class SacActorConfig(Config):
    """Settings of the loss `sac_actor`."""

    reduce: Members = "min"
    """How the critic's members become one value."""


def build(config: SacActorConfig) -> Loss:
    """The loss; the critic's weights and the temperature are constants in it."""

    def sac_actor(context: Context) -> tuple[Tensor, Metrics]:
        observations = context.batch.observations
        sampler: HasLogProb = context.part("sampler")
        temperature: Dual = context.part("temperature")
        critic: Critic = context.constant("critic")
        actions, log_prob = sampler.sample_log_prob(observations, context.noise)
        q = over_members(critic.q(observations, actions), config.reduce)
        loss = (temperature.value().detach() * log_prob - q).mean()
        return loss, {"q_policy": q.mean(), "log_prob": log_prob.mean()}

    return sac_actor


SPEC = LossSpec(
    name="sac_actor",
    config=SacActorConfig,
    build=build,
    reads={"sampler": (HasLogProb,), "temperature": (Dual,), "critic": (Critic,)},
    minimises="E_D[temperature log pi(a | s) - min_e Q_e(s, a)], a ~ pi",
    cite="Haarnoja et al. 2018, arXiv:1812.05905, equations 7 to 9",
)
