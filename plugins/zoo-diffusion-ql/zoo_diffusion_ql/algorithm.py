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
    Citation,
    Ema,
    Part,
    Stage,
    Term,
    Update,
    hookimpl,
)


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
        "sampler": Part("ddpm", steps=5, schedule="vp", predict="noise"),
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


ANTMAZE: dict[str, Any] = {"steps": 1_000_000, "reward": "antmaze"}


def _row(lr: float, eta: float, clip: float, steps: int = 2_000_000, **more: Any) -> dict[str, Any]:
    return {"lr": lr, "eta": eta, "max_grad_norm": clip, "steps": steps, **more}


# The official code's table. A later pattern wins; "medium*expert" is the sum of two datasets too.
TUNED = {
    "*halfcheetah?medium-v*": _row(3e-4, 1.0, 9.0),
    "*hopper?medium-v*": _row(3e-4, 1.0, 9.0),
    "*walker2d?medium-v*": _row(3e-4, 1.0, 1.0),
    "*halfcheetah?medium-replay-v*": _row(3e-4, 1.0, 2.0),
    "*hopper?medium-replay-v*": _row(3e-4, 1.0, 4.0),
    "*walker2d?medium-replay-v*": _row(3e-4, 1.0, 4.0),
    "*halfcheetah?medium*expert-v*": _row(3e-4, 1.0, 7.0),
    "*hopper?medium*expert-v*": _row(3e-4, 1.0, 5.0),
    "*walker2d?medium*expert-v*": _row(3e-4, 1.0, 5.0),
    "*antmaze?umaze-v*": _row(3e-4, 0.5, 2.0, **ANTMAZE),
    "*antmaze?umaze-diverse-v*": _row(3e-4, 2.0, 3.0, max_q_backup=True, **ANTMAZE),
    "*antmaze?medium-play-v*": _row(1e-3, 2.0, 2.0, max_q_backup=True, **ANTMAZE),
    "*antmaze?medium-diverse-v*": _row(3e-4, 3.0, 1.0, max_q_backup=True, **ANTMAZE),
    "*antmaze?large-play-v*": _row(3e-4, 4.5, 10.0, max_q_backup=True, **ANTMAZE),
    "*antmaze?large-diverse-v*": _row(3e-4, 3.5, 7.0, max_q_backup=True, **ANTMAZE),
    "*pen?human-v*": _row(3e-5, 0.15, 7.0, steps=1_000_000, reward="standardise"),
    "*pen?cloned-v*": _row(3e-5, 0.1, 8.0, steps=1_000_000, reward="standardise"),
    "*kitchen?complete-v*": _row(3e-4, 0.005, 9.0, steps=250_000),
    "*kitchen?[mp]*-v*": _row(3e-4, 0.005, 10.0, steps=1_000_000),
}

SPEC = AlgorithmSpec(
    name="diffusion_ql",
    config=DiffusionQLConfig,
    cite=Citation(
        "Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning",
        "Wang, Hunt and Zhou",
        2023,
        "https://arxiv.org/abs/2208.06193",
        code="https://github.com/Zhendong-Wang/Diffusion-Policies-for-Offline-RL",
    ),
    summary="a diffusion policy improved by Q-learning through the whole chain",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper={"sampler.steps": 5, "sampler.schedule": "vp", "batch_size": 256, "discount": 0.99}
    | {"tau": 0.005, "train.actor.q_norm.scale_at": "data", "acts.best_of_50.n": 1},
    deviations=(
        "Q is divided by the other member's mean |Q| at the policy's actions, by a coin (official "
        "code); equation 3 has the data's actions: --set train.actor.q_norm.scale_at=data.",
        "Acts by a softmax over 50 candidates of the live policy (official code); the paper "
        "samples once, which is the act `sample`.",
        "The policy's average moves every 5 steps from step 1001 (official code), not every step.",
        "The denoising error is averaged over action dimensions, on which eta's weight depends.",
        "No learning-rate decay: the official --lr_decay lowers the rate by 0.1 % over a run.",
        "The score is the last checkpoint's; the paper reports a selected one.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`diffusion_ql`."""
    return (SPEC,)
