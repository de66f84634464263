"""Implicit Q-learning (Kostrikov, Nair and Levine 2022, arXiv:2110.06169).

A value is regressed to an upper expectile of Q over the data's actions (equation 5), Q to rewards
and that value (equation 6), and any sampler is cloned with weights exp(beta (Q - V)) (equation 7):
no action outside the data is ever scored in training.
"""

from collections.abc import Iterable, Mapping

from pydantic import Field, NonNegativeFloat, PositiveFloat

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
from zoo_iql.source import CITE, DEVIATIONS, PAPER, TUNED


class IQLConfig(AlgorithmConfig):
    """Settings of `iql`."""

    lr: PositiveFloat = 3e-4
    """Learning rate of critic and value, and the policy's first."""
    policy_decay: bool = True
    """Whether the policy's learning rate falls to 0 along a cosine over the run."""
    expectile: float = Field(default=0.7, gt=0.0, lt=1.0)
    """tau of the value's expectile; 0.5 is the behaviour policy's value."""
    beta: NonNegativeFloat = 3.0
    """Inverse temperature of the policy's weights; 0 is behaviour cloning."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of the critic's average."""


def parts(config: IQLConfig) -> Mapping[str, Part]:
    """Two hidden layers of 256 with ReLU each; the policy's deviation is a parameter."""
    return {"sampler": Part("gaussian"), "critic": Part("twin_q"), "value": Part("value")}


def stages(config: IQLConfig) -> tuple[Stage, ...]:
    """Value, policy, critic and its average: policy and critic see the new value."""
    decayed = Schedule(shape="cosine", start=config.lr)
    value = Update(
        "value",
        trains={"value": Adam(lr=config.lr)},
        losses=(Term("expectile", expectile=config.expectile),),
    )
    actor = Update(
        "actor",
        trains={"sampler": Adam(lr=decayed if config.policy_decay else config.lr)},
        losses=(Term("advantage_nll", beta=config.beta),),
    )
    critic = Update(
        "critic",
        trains={"critic": Adam(lr=config.lr)},
        losses=(Term("td", next="value", discount=config.discount),),
    )
    average = Ema("critic", rate=config.tau)
    return (Stage("train", config.steps, (value, actor, critic), (average,)),)


def acts(config: IQLConfig) -> tuple[Act, ...]:
    """The mode, in whose place a swapped sampler that has none gives one sample."""
    return (Act(name="mode", choose="mode_or_sample"), Act(name="sample", choose="sample"))


SPEC = AlgorithmSpec(
    name="iql",
    config=IQLConfig,
    cite=CITE,
    summary="in-sample Q-learning by expectiles, and advantage-weighted cloning",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper=PAPER,
    deviations=DEVIATIONS,
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`iql`."""
    return (SPEC,)
