"""Policy improvement through the approximated action (EDP, arXiv:2305.20081, section 4)."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from zoo_core import Config, Context, Critic, HasOneStep, Loss, LossSpec, Metrics, hookimpl
from zoo_edp.one_step import one_step


class OneStepQConfig(Config):
    """Settings of the loss `one_step_q`."""

    member: Literal["random", "first"] = "random"
    """The critic's member: `random` is the first or the last by a coin in every update."""


def build(config: OneStepQConfig) -> Loss:
    """The loss."""

    def one_step_q(context: Context) -> tuple[Tensor, Metrics]:
        actions, _ = one_step(context)
        members = 1 if config.member == "first" else None
        q = context.critic.q(context.batch.observations, actions, members)
        # Each member is divided by a scale of its own, so that the weight means the same for all.
        losses = -q.mean(-1) / q.detach().abs().mean(-1)
        loss = losses[0]
        if config.member == "random":
            # Both are computed, since nothing may branch on a tensor's value.
            loss = torch.where(context.noise.uniform() > 0.5, loss, losses[-1])
        return loss, {"q_policy": q.mean()}

    return one_step_q


SPEC = LossSpec(
    name="one_step_q",
    config=OneStepQConfig,
    build=build,
    reads={"sampler": (HasOneStep,), "critic": (Critic,)},
    minimises="-E_D[Q_i(s, â)] / mean |Q_i(s, â)|, the denominator held constant",
    cite="Kang et al. 2023, arXiv:2305.20081; TD3+BC, arXiv:2106.06860, equation 5",
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`one_step_q`."""
    return (SPEC,)
