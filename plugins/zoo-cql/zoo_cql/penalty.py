"""The conservative penalty: large Q values are pushed down, those of the data up (CQL)."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo_core import (
    Config,
    Context,
    Critic,
    HasLogProb,
    Loss,
    LossSpec,
    Metrics,
    Reads,
    hookimpl,
)
from zoo_core.protocols import Dual

MAX_MULTIPLIER = 1e6
"""The multiplier's upper bound, as in the official code."""


class CqlPenaltyConfig(Config):
    """Settings of the loss `cql_penalty`."""

    regularizer: Literal["H", "rho", "rho_code"] = "H"
    """Over which actions the soft maximum of Q is. `H`: all of them, by importance-sampled uniform,
    current and next actions (equation 4, appendix F). `rho`: the policy's, a log-mean-exp over its
    samples (section 3.2). `rho_code`, the official code's CQL(rho): the samples of `H` and
    the data's action, none weighted by its density."""
    min_q_weight: NonNegativeFloat = 1.0
    """The weight alpha; under a threshold it multiplies the gap inside the constraint."""
    threshold: PositiveFloat | None = None
    """The weighted gap tau that the part `multiplier` enforces (CQL-Lagrange); none for a fixed
    weight, which the official script writes as -1."""
    n: PositiveInt = 10
    """Actions of each kind per observation."""
    temperature: PositiveFloat = 1.0
    """T of the soft maximum T logsumexp(q / T)."""


def build(config: CqlPenaltyConfig) -> Loss:
    """The loss; the policy is a constant in it."""

    def scores(context: Context, data: Tensor) -> Tensor:
        """Q of sampled actions [E, k, B], less the log-density that each was drawn with.

        Next actions are scored at the present observation: they stand in for further proposals.
        """
        batch, noise = context.batch, context.noise
        sampler: HasLogProb = context.part("sampler")
        with torch.no_grad():
            actions, density = sampler.sample_log_prob(batch.observations, noise, config.n)
            if config.regularizer != "rho":
                further, further_density = sampler.sample_log_prob(
                    batch.next_observations, noise, config.n
                )
                uniform = 2.0 * noise.uniform(*actions.shape) - 1.0
                uniform_density = torch.full_like(density, -math.log(2.0) * actions.shape[-1])
                actions = torch.cat([uniform, further, actions])
                density = torch.cat([uniform_density, further_density, density])
        q = context.critic.q(batch.observations, actions)
        if config.regularizer == "H":
            return q - density
        if config.regularizer == "rho":
            return q - config.temperature * math.log(config.n)
        return torch.cat([q, data.unsqueeze(1)], 1)

    def cql_penalty(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        data = context.once(
            "q of data", lambda: context.critic.q(batch.observations, batch.actions)
        )
        scaled = scores(context, data) / config.temperature
        soft_maximum = config.temperature * scaled.logsumexp(1)
        gap = config.min_q_weight * (soft_maximum - data).mean(-1)
        metrics = {"gap": gap.mean()}
        if config.threshold is None:
            return gap.sum(), metrics
        dual: Dual = context.part("multiplier")
        multiplier = dual.value().clamp(max=MAX_MULTIPLIER)
        critic_loss = multiplier.detach() * (gap - config.threshold).sum()
        dual_loss = -multiplier * (gap.detach() - config.threshold).mean()
        return critic_loss + dual_loss, {**metrics, "multiplier": multiplier}

    return cql_penalty


def reads(config: CqlPenaltyConfig) -> Reads:
    """What the loss reads."""
    parts: Reads = {"sampler": (HasLogProb,), "critic": (Critic,)}
    return parts if config.threshold is None else {**parts, "multiplier": (Dual,)}


SPEC = LossSpec(
    name="cql_penalty",
    config=CqlPenaltyConfig,
    build=build,
    reads=reads,
    minimises="sum_e alpha E_D[log sum_a exp Q_e(s, a) - Q_e(s, a_data)]; with a threshold, "
    "multiplier (that - threshold), which the multiplier maximises",
    cite="Kumar et al. 2020, arXiv:2006.04779, equation 4 and appendix F",
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`cql_penalty`."""
    return (SPEC,)
