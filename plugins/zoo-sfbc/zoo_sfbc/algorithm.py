"""SfBC: select from behaviour candidates (Chen et al. 2023, arXiv:2209.14548).

A diffusion clones the data. A critic is fitted in rounds to values that are planned along the
logged trajectories with actions of that diffusion alone. Acting resamples the diffusion's actions
by the critic.
"""

from collections.abc import Iterable, Mapping

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from zoo_core import (
    Act,
    Adam,
    AlgorithmConfig,
    AlgorithmSpec,
    Citation,
    Part,
    Stage,
    Term,
    Update,
    hookimpl,
)
from zoo_sfbc.planning import Plan


class SfBCConfig(AlgorithmConfig):
    """Settings of `sfbc`."""

    steps: PositiveInt = 635_000
    """Training steps: of the behaviour model, then of all rounds of the critic."""
    behaviour_share: float = Field(default=0.923, gt=0.0, lt=1.0)
    """The behaviour model's share of the steps; the rounds have equal shares of the rest."""
    batch_size: PositiveInt = 4096
    """Transitions per step."""
    lr: PositiveFloat = 1e-4
    """Learning rate of the behaviour model."""
    critic_lr: PositiveFloat = 1e-3
    """Learning rate of the critic."""
    rounds: PositiveInt = 2
    """Rounds K of value iteration, of which the first learns the discounted returns."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    alpha: PositiveFloat = 20.0
    """Inverse temperature of the softmax over Q that makes a value of the drawn actions."""
    samples: PositiveInt = 16
    """Actions M drawn per stored observation for its value."""
    normalize_returns: bool = True
    """Whether the critic learns values of zero mean and unit deviation, on which alpha depends."""
    floor: bool = False
    """Whether what Q(s, a) learns is at least V(s), as in the official code."""
    bootstrap_truncations: bool = True
    """Whether a truncated episode goes on with the value of its last observation when planning."""

    @model_validator(mode="after")
    def _a_step_for_each(self) -> "SfBCConfig":
        if self.steps < self.rounds + 1:
            raise ValueError(f"steps must be at least {self.rounds + 1}, one for each stage")
        return self


def parts(config: SfBCConfig) -> Mapping[str, Part]:
    """The paper's residual denoiser in continuous time, and one critic of two layers of 256."""
    diffusion = Part(
        "dpm_solver",
        network="unet",
        hidden=512,
        time_dim=32,
        reduction="sum",
        trained_from=1e-5,
        end=1e-3,
        steps=15,
        order=3,
        method="singlestep",
        expand="noise",
        clip=False,
    )
    return {"sampler": diffusion, "critic": Part("twin_q", members=1, activation="silu")}


def stages(config: SfBCConfig) -> tuple[Stage, ...]:
    """The behaviour model, then K rounds, each of a plan and a critic that starts anew."""
    behaviour_steps = round(config.behaviour_share * config.steps)
    behaviour_steps = min(max(behaviour_steps, 1), config.steps - config.rounds)
    clone = Update("behaviour", trains={"sampler": Adam(lr=config.lr)}, losses=(Term("nll"),))
    fit = Update("fit", trains={"critic": Adam(lr=config.critic_lr)}, losses=(Term("regress"),))
    plan = Plan(
        config.discount,
        config.alpha,
        config.samples,
        config.normalize_returns,
        config.floor,
        config.bootstrap_truncations,
    )
    rest, rounds = config.steps - behaviour_steps, range(config.rounds)
    borders = [rest * k // config.rounds for k in (*rounds, config.rounds)]
    critics = (
        Stage(
            f"round_{k + 1}",
            borders[k + 1] - borders[k],
            (fit,),
            prepare=plan.prepare,
            reset=("critic",),
        )
        for k in rounds
    )
    return (Stage("clone", behaviour_steps, (clone,)), *critics)


def acts(config: SfBCConfig) -> tuple[Act, ...]:
    """A draw by exp(100 Q) among 32 candidates; beside it the behaviour itself."""
    drawn = Act(
        name="resampled", choose="softmax", n=32, score="critic", reduce="first", temperature=0.01
    )
    return (drawn, Act(name="behaviour", choose="sample"))


SPEC = AlgorithmSpec(
    name="sfbc",
    config=SfBCConfig,
    cite=Citation(
        title="Offline Reinforcement Learning via High-Fidelity Generative Behavior Modeling",
        authors="Chen, Lu, Ying, Su and Zhu",
        year=2023,
        url="https://arxiv.org/abs/2209.14548",
        code="https://github.com/ChenDRAG/SfBC",
    ),
    summary="selects among a diffusion's actions by a critic of in-sample planning",
    parts=parts,
    stages=stages,
    acts=acts,
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`sfbc`."""
    return (SPEC,)
