"""Advantage-weighted cloning: policy extraction for every family of samplers."""

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Critic, HasNll, ValueFunction
from zoo_core.reductions import Members, over_members
from zoo_core.specs import Loss, LossSpec, Metrics


class AdvantageNllConfig(Config):
    """Settings of the loss `advantage_nll`."""

    beta: NonNegativeFloat = 3.0
    """Inverse temperature: 0 is cloning; the greater, the more the best actions count."""
    max_weight: PositiveFloat = 100.0
    """Bound of a weight."""
    reduce: Members = "min"
    """How the averaged critic's members become one value."""


def advantage_weights(advantage: Tensor, beta: float, max_weight: float) -> Tensor:
    """min(exp(beta A), bound), elementwise and without gradient."""
    return (beta * advantage.detach()).exp().clamp(max=max_weight)


def build(config: AdvantageNllConfig) -> Loss:
    """The loss."""

    def advantage_nll(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        with torch.no_grad():
            q = context.target.critic.q(batch.observations, batch.actions)
            advantage = over_members(q, config.reduce) - context.part("value").v(batch.observations)
            weights = advantage_weights(advantage, config.beta, config.max_weight)
        nll = context.sampler.nll(batch.observations, batch.actions, context.noise)
        return (weights * nll).mean(), {"weight_mean": weights.mean(), "nll_mean": nll.mean()}

    return advantage_nll


SPEC = LossSpec(
    name="advantage_nll",
    config=AdvantageNllConfig,
    build=build,
    reads={"sampler": (HasNll,), "value": (ValueFunction,), "target.critic": (Critic,)},
    minimises="E_D[min(exp(beta (min_e Q_e(s, a) - V(s))), 100) nll(a | s)], Q averaged",
    cite="Kostrikov et al. 2022, arXiv:2110.06169, equation 7; AWR, arXiv:1910.00177",
)
