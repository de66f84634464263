"""What the three algorithms share: settings, the diffusion policy, its update, averages, acts."""

from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt

from zoo_core import Act, Adam, AlgorithmConfig, Ema, Part, Schedule, Term, Update


class EdpConfig(AlgorithmConfig):
    """Settings of every EDP."""

    steps: PositiveInt = 2_000_000
    """Training steps."""
    lr: PositiveFloat = 3e-4
    """Learning rate of critic and value, and the policy's first."""
    policy_decay: bool = False
    """Whether the policy's learning rate falls to 0 along a cosine over the run."""
    max_grad_norm: PositiveFloat | None = None
    """Norm to which each part's gradient is clipped; none for no clipping."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of all averages."""


class AveragedConfig(EdpConfig):
    """Settings of those whose critic asks the averaged policy for next actions."""

    max_q_backup: bool = False
    """Whether the target takes the best of 10 next actions."""
    average_every: PositiveInt = 5
    """Steps between moves of the policy's average."""
    average_start: PositiveInt = 1005
    """First step that moves the policy's average; before, it keeps its initial weights."""


def policy_part() -> Part:
    """A diffusion of 1000 steps, sampled in 15 calls by the third-order singlestep DPM-Solver."""
    return Part(
        "dpm_solver",
        schedule="linear",
        trained_steps=1000,
        steps=15,
        order=3,
        method="singlestep",
        expand="noise",
        spacing="time",
        denoise_to_zero=False,
        clip_denoised=True,
    )


def critic_part() -> Part:
    """Two networks of three hidden layers of 256 with Mish."""
    return Part("twin_q", layers=3, activation="mish")


def optimizer(config: EdpConfig) -> Adam:
    """Of critic and value."""
    return Adam(lr=config.lr, max_grad_norm=config.max_grad_norm)


def actor(config: EdpConfig, improvement: Term) -> Update:
    """The policy's update: cloning and improvement from one denoiser call."""
    rate = Schedule(shape="cosine", start=config.lr) if config.policy_decay else config.lr
    return Update(
        "actor",
        trains={"sampler": Adam(lr=rate, max_grad_norm=config.max_grad_norm)},
        losses=(Term("one_step_nll"), improvement),
    )


def bootstrapped(config: AveragedConfig) -> Update:
    """The critic's update with next actions of the averaged policy."""
    backup: dict[str, Any] = {"n": 10, "reduce": "max_then_min"} if config.max_q_backup else {}
    return Update(
        "critic",
        trains={"critic": optimizer(config)},
        losses=(Term("td", discount=config.discount, **backup),),
    )


def averages(config: AveragedConfig) -> tuple[Ema, ...]:
    """Those of the policy and the critic."""
    return (
        Ema("sampler", rate=config.tau, every=config.average_every, start=config.average_start),
        Ema("critic", rate=config.tau),
    )


def acts(config: EdpConfig) -> tuple[Act, ...]:
    """Energy-based action selection: a draw from the softmax of Q over candidates; and one
    sample."""
    return (
        Act(name="best_of_10", choose="softmax", n=10, score="critic"),
        Act(name="best_of_50", choose="softmax", n=50, score="critic"),
        Act(name="sample", choose="sample"),
    )
