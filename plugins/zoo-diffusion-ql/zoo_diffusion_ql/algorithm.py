"""Diffusion-QL: a diffusion policy improved by Q-learning (Wang et al. 2023, arXiv:2208.06193).

The policy minimises its denoising error minus alpha E[Q(s, a^0)] with a^0 from the whole chain and
alpha = eta / E|Q| (equations 2 and 3, algorithm 1); the critic is clipped double Q (equation 4).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from zoo_core import (
    Act,
    Adam,
    AlgorithmConfig,
    AlgorithmSpec,
    Ema,
    Part,
    Stage,
    Term,
    Update,
    hookimpl,
)
from zoo_diffusion_ql.source import CITE, DEVIATIONS, PAPER, TUNED


class DiffusionQLConfig(AlgorithmConfig):
    """Settings of `diffusion_ql`."""

    steps: PositiveInt = 2_000_000
    """Training steps."""
    lr: PositiveFloat = 3e-4
    """Learning rate of the policy."""
    critic_lr: PositiveFloat = 3e-4
    """Learning rate of the critic."""
    eta: NonNegativeFloat = 1.0
    """Weight of the normalised Q term beside the denoising error."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of both averages."""
    max_grad_norm: PositiveFloat | None = 1.0
    """Norm to which the gradients of policy and critic are each clipped."""
    max_q_backup: bool = False
    """Whether the target takes the best of 10 next actions."""
    average_every: PositiveInt = 5
    """Steps between moves of the policy's average."""
    average_start: PositiveInt = 1001
    """First step that moves the policy's average; before, it keeps its initial weights."""


def parts(config: DiffusionQLConfig) -> Mapping[str, Part]:
    """A chain of five steps and two critics, each of three hidden layers of 256 with Mish."""
    return {
        "sampler": Part("ddpm", steps=5, schedule="vp", predict="noise", variance="posterior"),
        "critic": Part("twin_q", layers=3, activation="mish"),
    }


def stages(config: DiffusionQLConfig) -> tuple[Stage, ...]:
    """Critic, policy, and their averages, in this order (algorithm 1)."""
    backup: dict[str, Any] = {"n": 10, "reduce": "max_then_min"} if config.max_q_backup else {}
    critic = Update(
        "critic",
        trains={"critic": Adam(lr=config.critic_lr, max_grad_norm=config.max_grad_norm)},
        losses=(Term("td", discount=config.discount, **backup),),
    )
    actor = Update(
        "actor",
        trains={"sampler": Adam(lr=config.lr, max_grad_norm=config.max_grad_norm)},
        losses=(Term("nll"), Term("q_norm", weight=config.eta, pairing="random")),
    )
    emas = (
        Ema("sampler", rate=config.tau, every=config.average_every, start=config.average_start),
        Ema("critic", rate=config.tau),
    )
    return (Stage("train", config.steps, (critic, actor), emas),)


def acts(config: DiffusionQLConfig) -> tuple[Act, ...]:
    """The official code's choice among 50 candidates; beside it the paper's single sample."""
    best = Act(name="best_of_50", choose="softmax", n=50, score="target.critic")
    return (best, Act(name="sample", choose="sample"))


SPEC = AlgorithmSpec(
    name="diffusion_ql",
    config=DiffusionQLConfig,
    cite=CITE,
    summary="a diffusion policy improved by Q-learning through the whole chain",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper=PAPER,
    deviations=DEVIATIONS,
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`diffusion_ql`."""
    return (SPEC,)
