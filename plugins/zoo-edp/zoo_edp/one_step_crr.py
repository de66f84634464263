"""Critic-regularised regression with a diffusion policy (CRR, arXiv:2006.15134; EDP)."""

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from zoo_core import (
    Config,
    Context,
    Critic,
    HasOneStep,
    Loss,
    LossSpec,
    Metrics,
    Reduction,
    hookimpl,
    reduction,
)
from zoo_edp.likelihood import Likelihood, negative_log_likelihood
from zoo_edp.one_step import one_step


class OneStepCrrConfig(Config):
    """Settings of the loss `one_step_crr`."""

    likelihood: Likelihood = "gaussian"
    """What is weighted: -log of N(â, I) at the data's action, or the denoising error (`bound`)."""
    weights: Literal["exp", "binary"] = "exp"
    """exp(A / temperature) up to a bound, or 1 where A is above 0 and else 0."""
    temperature: PositiveFloat = 1.0
    """Of the exponential weights; the greater, the more equal they are."""
    max_weight: PositiveFloat = 20.0
    """Bound of the exponential weights."""
    n: PositiveInt = 10
    """Actions of N(â, I) that the advantage A compares the data's action with."""
    baseline: Reduction = "min"
    """How their values become one: `min`, the mean over actions of the minimum over members; or
    `min_then_max`, the best action of the minimum."""


def build(config: OneStepCrrConfig) -> Loss:
    """The loss."""
    baseline = reduction(config.baseline)

    def weights_of(advantage: Tensor) -> Tensor:
        if config.weights == "binary":
            return (advantage > 0.0).to(advantage.dtype)
        return (advantage / config.temperature).exp().clamp(max=config.max_weight)

    def one_step_crr(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        nll = negative_log_likelihood(context, config.likelihood)
        with torch.no_grad():
            center = one_step(context)[0].detach()
            others = center + context.noise.normal(config.n, *center.shape)
            value = baseline(context.critic.q(batch.observations, others))
            q = context.critic.q(batch.observations, batch.actions).amin(0)
            weights = weights_of(q - value)
        metrics = {"weight_mean": weights.mean(), "advantage_mean": (q - value).mean()}
        return (weights * nll).mean(), metrics

    return one_step_crr


SPEC = LossSpec(
    name="one_step_crr",
    config=OneStepCrrConfig,
    build=build,
    reads={"sampler": (HasOneStep,), "critic": (Critic,)},
    minimises="E_D[min(exp((Q(s, a) - E_{N(â, I)} Q(s, a')) / T), 20) (-log N(a; â, I))]",
    cite="Kang et al. 2023, arXiv:2305.20081; Wang et al. 2020, arXiv:2006.15134",
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`one_step_crr`."""
    return (SPEC,)
