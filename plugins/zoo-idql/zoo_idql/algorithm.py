"""IDQL: implicit Q-learning with a diffusion policy (Hansen-Estruch et al. 2023, arXiv:2304.10573).

IQL's critic implies a policy, mu(a|s) |tau - 1(Q(s, a) < V(s))|. The behaviour mu is cloned by a
diffusion and nothing else; the critic chooses among its samples when acting.
"""

from collections.abc import Iterable, Mapping

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from zoo_core import (
    Act,
    Adam,
    AlgorithmConfig,
    AlgorithmSpec,
    Ema,
    Part,
    Schedule,
    Stage,
    Term,
    Update,
    hookimpl,
)
from zoo_idql.source import CITE, DEVIATIONS, PAPER, TUNED


class IDQLConfig(AlgorithmConfig):
    """Settings of `idql`."""

    steps: PositiveInt = 3_000_000
    """Training steps: the policy's."""
    batch_size: PositiveInt = 512
    """Transitions per step."""
    lr: PositiveFloat = 3e-4
    """Learning rate of critic and value, and the policy's first."""
    policy_decay: bool = True
    """Whether the policy's learning rate falls to 0 along a cosine over the run."""
    weight_decay: NonNegativeFloat = 1e-4
    """The policy's, decoupled from its gradient (AdamW)."""
    expectile: float = Field(default=0.7, gt=0.0, lt=1.0)
    """tau of the value's expectile, and of the act `reweighted`."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of the critic's average."""
    policy_tau: float = Field(default=0.001, gt=0.0, le=1.0)
    """Rate of the policy's average."""
    critic_every: PositiveInt = 2
    """Policy updates per update of value, critic and the critic's average."""


def parts(config: IDQLConfig) -> Mapping[str, Part]:
    """A chain of five steps of a residual network; IQL's critic and value."""
    sampler = Part(
        "ddpm",
        steps=5,
        schedule="vp",
        network="residual",
        activation="silu",
        dropout=0.1,
        time_dim=128,
        reduction="sum",
        clip_denoised=False,
        clip_noised=True,
        variance="beta",
    )
    return {
        "sampler": sampler,
        "critic": Part("twin_q"),
        "value": Part("value", input_norm=True),
    }


def stages(config: IDQLConfig) -> tuple[Stage, ...]:
    """The policy in every step; value, critic and its average in every second one."""
    decayed = Schedule(shape="cosine", start=config.lr)
    policy = Adam(
        lr=decayed if config.policy_decay else config.lr,
        weight_decay=config.weight_decay,
        decoupled=True,
    )
    actor = Update("actor", trains={"sampler": policy}, losses=(Term("nll"),))
    value = Update(
        "value",
        trains={"value": Adam(lr=config.lr)},
        losses=(Term("expectile", expectile=config.expectile),),
        every=config.critic_every,
    )
    # The mean over the two members, as in the official code, where `td` has their sum.
    critic = Update(
        "critic",
        trains={"critic": Adam(lr=config.lr)},
        losses=(Term("td", weight=0.5, next="value", discount=config.discount),),
        every=config.critic_every,
    )
    emas = (
        Ema("sampler", rate=config.policy_tau),
        Ema("critic", rate=config.tau, every=config.critic_every),
    )
    return (Stage("train", config.steps, (actor, value, critic), emas),)


def acts(config: IDQLConfig) -> tuple[Act, ...]:
    """The best of 64 averaged samples; of fewer and more; the implicit policy; the behaviour."""
    averages = {"sampler": "target.sampler", "score": "target.critic"}
    best = tuple(Act(name=f"best_of_{n}", choose="argmax", n=n, **averages) for n in (64, 16, 256))
    reweighted = Act(
        name="reweighted", choose="expectile", n=64, expectile=config.expectile, **averages
    )
    return (*best, reweighted, Act(name="sample", choose="sample", sampler="target.sampler"))


SPEC = AlgorithmSpec(
    name="idql",
    config=IDQLConfig,
    cite=CITE,
    summary="IQL's critic choosing among a cloned diffusion's samples",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper=PAPER,
    deviations=DEVIATIONS,
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`idql`."""
    return (SPEC,)
