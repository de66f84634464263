"""Temporal differences: each critic member regresses to one bootstrapped target."""

from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Critic, Sampler, ValueFunction
from zoo_core.reductions import Reduction, reduction
from zoo_core.specs import Loss, LossSpec, Metrics, Reads


class TdConfig(Config):
    """Settings of the loss `td`."""

    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    next: Literal["target.sampler", "sampler", "value", "target.value"] = "target.sampler"
    """Where the next value comes from: actions of a sampler scored by `target.critic`, or a value
    function."""
    n: PositiveInt = 1
    """Candidate actions per next observation."""
    reduce: Reduction = "min"
    """How members and candidates become one next value."""
    smoothing: NonNegativeFloat = 0.0
    """Standard deviation of noise on the next action (TD3's target policy smoothing)."""
    smoothing_clip: PositiveFloat = 0.5
    """Bound of that noise."""


def build(config: TdConfig) -> Loss:
    """The loss."""
    reduce = reduction(config.reduce)

    def next_value(context: Context) -> Tensor:
        """[B]"""
        observations = context.batch.next_observations
        if config.next in {"value", "target.value"}:
            value: Tensor = context.part(config.next).v(observations)
            return value
        actions = context.part(config.next).sample(observations, context.noise, config.n)
        if config.smoothing > 0.0:
            noise = config.smoothing * context.noise.normal(*actions.shape)
            limit = config.smoothing_clip
            actions = (actions + noise.clamp(-limit, limit)).clamp(-1.0, 1.0)
        return reduce(context.target.critic.q(observations, actions))

    def td(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        with torch.no_grad():
            bootstrap = config.discount * (1.0 - batch.terminations) * next_value(context)
            target = batch.rewards + bootstrap
        q = context.critic.q(batch.observations, batch.actions)
        loss = (q - target).square().mean(-1).sum(0)
        return loss, {"q_mean": q.mean(), "target_mean": target.mean()}

    return td


def reads(config: TdConfig) -> Reads:
    """What the loss reads."""
    if config.next in {"value", "target.value"}:
        return {"critic": (Critic,), config.next: (ValueFunction,)}
    return {"critic": (Critic,), "target.critic": (Critic,), config.next: (Sampler,)}


SPEC = LossSpec(
    name="td",
    config=TdConfig,
    build=build,
    reads=reads,
    minimises="sum_e E_D[(Q_e(s, a) - r - gamma (1 - terminated) V(s'))^2]",
    cite="Fujimoto et al. 2018, arXiv:1802.09477",
)
