"""Action approximation: one denoiser call gives the cloning loss and a differentiable action.

A data action a is noised to a^k, and the clean action is read off the denoiser's output,

    â = (a^k - sigma_k epsilon_theta(a^k, k; s)) / alpha_k

(EDP, arXiv:2305.20081, section 4), in place of a sample of the whole reverse chain.
"""

from collections.abc import Iterable
from typing import cast

from torch import Tensor

from zoo_core import Config, Context, HasOneStep, Loss, LossSpec, hookimpl


def one_step(context: Context) -> tuple[Tensor, Tensor]:
    """Approximated actions [B, A] and the denoising error [B]; drawn and computed once per update,
    from the noise of the term that asks first."""
    batch, sampler = context.batch, cast(HasOneStep, context.sampler)
    return context.once(
        "one_step",
        lambda: sampler.reconstruct(batch.observations, batch.actions, context.noise),
    )


class OneStepNllConfig(Config):
    """Settings of the loss `one_step_nll`: none."""


def build(config: OneStepNllConfig) -> Loss:
    """The loss."""

    def one_step_nll(context: Context) -> Tensor:
        return one_step(context)[1].mean()

    return one_step_nll


SPEC = LossSpec(
    name="one_step_nll",
    config=OneStepNllConfig,
    build=build,
    reads={"sampler": (HasOneStep,)},
    minimises="E_D[||epsilon - epsilon_theta(a^k, k; s)||^2], of the call that also gives â",
    cite="Kang et al. 2023, arXiv:2305.20081",
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`one_step_nll`."""
    return (SPEC,)
