"""Soft temporal differences: the next action is the live policy's, and its entropy may count."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Critic, Dual, HasLogProb
from zoo_core.reductions import Reduction, reduction
from zoo_core.specs import Loss, LossSpec, Metrics, Reads


class SoftTdConfig(Config):
    """Settings of the loss `soft_td`."""

    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    entropy: bool = True
    """Whether the next value holds the entropy, -temperature log pi(a' | s'); else the backup is
    that of the plain value (CQL's "deterministic backup")."""
    n: PositiveInt = 1
    """Candidate actions per next observation."""
    reduce: Reduction = "min"
    """How members and candidates become one next value."""


def build(config: SoftTdConfig) -> Loss:
    """The loss."""
    reduce = reduction(config.reduce)

    def next_value(context: Context) -> Tensor:
        """[B]"""
        observations = context.batch.next_observations
        sampler: HasLogProb = context.part("sampler")
        actions, log_prob = sampler.sample_log_prob(observations, context.noise, config.n)
        q = context.target.critic.q(observations, actions)
        if config.entropy:
            q = q - context.part("temperature").value() * log_prob
        return reduce(q)

    def soft_td(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        with torch.no_grad():
            bootstrap = config.discount * (1.0 - batch.terminations) * next_value(context)
            target = batch.rewards + bootstrap
        q = context.once("q of data", lambda: context.critic.q(batch.observations, batch.actions))
        loss = (q - target).square().mean(-1).sum(0)
        return loss, {"q_mean": q.mean(), "target_mean": target.mean()}

    return soft_td


def reads(config: SoftTdConfig) -> Reads:
    """What the loss reads."""
    parts = {"critic": (Critic,), "target.critic": (Critic,), "sampler": (HasLogProb,)}
    return {**parts, "temperature": (Dual,)} if config.entropy else parts


SPEC = LossSpec(
    name="soft_td",
    config=SoftTdConfig,
    build=build,
    reads=reads,
    minimises="sum_e E_D[(Q_e(s, a) - r - gamma (1 - terminated) (min Q(s', a') - temperature "
    "log pi(a' | s')))^2], a' ~ pi",
    cite="Haarnoja et al. 2018, arXiv:1812.05905, equations 5 and 6",
)
