"""A value function regressed to an upper statistic of Q over the data's actions.

IQL's expectile (arXiv:2110.06169, equation 5) is one of three that IDQL names (arXiv:2304.10573,
section 3): each is the minimiser of a convex function of the difference d = Q(s, a) - V(s).
"""

import math
from typing import Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Critic, ValueFunction
from zoo_core.reductions import Members, over_members
from zoo_core.specs import Loss, LossSpec, Metrics

MAX_WEIGHT = 6.0
"""Bound of the exponential objective's slope, that of IDQL's code; beyond it the loss is linear."""


class ExpectileConfig(Config):
    """Settings of the loss `expectile`."""

    objective: Literal["expectile", "quantile", "exponential"] = "expectile"
    """Of the difference d: |tau - 1(d < 0)| d^2; |tau - 1(d < 0)| |d|; or (exp(d / T) - 1) T - d,
    whose minimiser is T log E[exp(Q / T)]."""
    expectile: float = Field(default=0.7, gt=0.0, lt=1.0)
    """tau: 0.5 gives the mean or the median; towards 1 the value tends to the greatest Q."""
    temperature: PositiveFloat = 1.0
    """T of the exponential objective."""
    reduce: Members = "min"
    """How the averaged critic's members become one value."""


def asymmetric(difference: Tensor, tau: float) -> Tensor:
    """|tau - 1(d < 0)|: tau where d is above 0, else 1 - tau."""
    above = (difference > 0.0).to(difference.dtype)
    return above * tau + (1.0 - above) * (1.0 - tau)


def expectile_loss(difference: Tensor, tau: float) -> Tensor:
    """|tau - 1(d < 0)| d^2, elementwise (IQL, equation 4)."""
    return asymmetric(difference, tau) * difference.square()


def quantile_loss(difference: Tensor, tau: float) -> Tensor:
    """|tau - 1(d < 0)| |d|, elementwise."""
    return asymmetric(difference, tau) * difference.abs()


def exponential_loss(difference: Tensor, temperature: float) -> Tensor:
    """(exp(d / T) - 1) T - d, elementwise; linear where the slope has reached its bound."""
    exponent = difference / temperature
    limit = math.log(MAX_WEIGHT)
    within = torch.expm1(exponent.clamp(max=limit))
    beyond = MAX_WEIGHT * (exponent - limit).clamp(min=0.0)
    return temperature * (within + beyond) - difference


def build(config: ExpectileConfig) -> Loss:
    """The loss."""

    def of(difference: Tensor) -> Tensor:
        if config.objective == "exponential":
            return exponential_loss(difference, config.temperature)
        chosen = expectile_loss if config.objective == "expectile" else quantile_loss
        return chosen(difference, config.expectile)

    def expectile(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        with torch.no_grad():
            q = over_members(
                context.target.critic.q(batch.observations, batch.actions), config.reduce
            )
        v = context.part("value").v(batch.observations)
        return of(q - v).mean(), {"v_mean": v.mean(), "advantage_mean": (q - v).mean()}

    return expectile


SPEC = LossSpec(
    name="expectile",
    config=ExpectileConfig,
    build=build,
    reads={"value": (ValueFunction,), "target.critic": (Critic,)},
    minimises="E_D[|tau - 1(d < 0)| d^2], d = min_e Q_e(s, a) - V(s), Q averaged",
    cite="Kostrikov et al. 2022, arXiv:2110.06169, equation 5; arXiv:2304.10573, section 3",
)
