"""IQL's advantage-weighted extraction with a diffusion policy (arXiv:2110.06169; EDP)."""

from collections.abc import Iterable

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from zoo_core import (
    Config,
    Context,
    Critic,
    HasOneStep,
    Loss,
    LossSpec,
    Metrics,
    ValueFunction,
    hookimpl,
)
from zoo_core.builtin.advantage_nll import advantage_weights
from zoo_edp.likelihood import Likelihood, negative_log_likelihood


class OneStepAwrConfig(Config):
    """Settings of the loss `one_step_awr`."""

    likelihood: Likelihood = "gaussian"
    """What is weighted: -log of N(â, I) at the data's action, or the denoising error (`bound`)."""
    beta: NonNegativeFloat = 3.0
    """Inverse temperature: 0 is cloning; the greater, the more the best actions count."""
    max_weight: PositiveFloat = 100.0
    """Bound of a weight."""


def build(config: OneStepAwrConfig) -> Loss:
    """The loss."""

    def one_step_awr(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        with torch.no_grad():
            q = context.target.critic.q(batch.observations, batch.actions).amin(0)
            advantage = q - context.part("value").v(batch.observations)
            weights = advantage_weights(advantage, config.beta, config.max_weight)
        nll = negative_log_likelihood(context, config.likelihood)
        return (weights * nll).mean(), {"weight_mean": weights.mean()}

    return one_step_awr


SPEC = LossSpec(
    name="one_step_awr",
    config=OneStepAwrConfig,
    build=build,
    reads={"sampler": (HasOneStep,), "value": (ValueFunction,), "target.critic": (Critic,)},
    minimises="E_D[min(exp(beta (min_e Q_e(s, a) - V(s))), 100) (-log N(a; â, I))], Q averaged",
    cite="Kang et al. 2023, arXiv:2305.20081; Kostrikov et al. 2022, arXiv:2110.06169",
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`one_step_awr`."""
    return (SPEC,)
