"""Policy improvement by a critic whose scale is divided out."""

from typing import Literal

import torch
from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Critic, Sampler
from zoo_core.specs import Loss, LossSpec, Metrics


class QNormConfig(Config):
    """Settings of the loss `q_norm`."""

    pairing: Literal["first", "random"] = "first"
    """`first`: member 0 over its own scale (TD3+BC). `random`: one member over the scale of
    another, by a coin in every update (Diffusion-QL)."""
    scale_at: Literal["policy", "data"] = "policy"
    """Where the scale |Q| is taken: the sampled actions, or those of the data."""


def build(config: QNormConfig) -> Loss:
    """The loss."""

    def q_norm(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        actions = context.sampler.sample(batch.observations, context.noise, 1)[0]
        members = 1 if config.pairing == "first" else None
        q = context.critic.q(batch.observations, actions, members)
        if config.scale_at == "policy":
            magnitude = q.detach().abs()
        else:
            with torch.no_grad():
                magnitude = context.critic.q(batch.observations, batch.actions, members).abs()
        value, scale = q[0].mean(), magnitude[0].mean()
        if config.pairing == "random":
            # Both orders are computed, since nothing may branch on a tensor's value.
            swapped, other = q[-1].mean(), magnitude[-1].mean()
            coin = context.noise.uniform() > 0.5
            loss = torch.where(coin, -value / other, -swapped / scale)
        else:
            loss = -value / scale
        return loss, {"q_policy": q.mean()}

    return q_norm


SPEC = LossSpec(
    name="q_norm",
    config=QNormConfig,
    build=build,
    reads={"sampler": (Sampler,), "critic": (Critic,)},
    minimises="-E_D[Q(s, pi(s))] / mean |Q|, the denominator held constant",
    cite="TD3+BC, arXiv:2106.06860, equation 5; Diffusion-QL, arXiv:2208.06193, equation 3",
)
