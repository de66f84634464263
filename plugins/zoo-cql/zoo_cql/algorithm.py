"""CQL: conservative Q-learning (Kumar et al. 2020, arXiv:2006.04779).

SAC on logged data whose critic also minimises a soft maximum of Q over actions less Q of the data's
actions (equation 4), by a fixed weight or by a Lagrange multiplier; Q then bounds the true value
from below. The policy clones the data for the first steps.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

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
from zoo_cql.source import CITE, DEVIATIONS, PAPER, TUNED


class CqlConfig(AlgorithmConfig):
    """Settings of `cql`."""

    lr: PositiveFloat = 1e-4
    """Learning rate of policy and temperature."""
    critic_lr: PositiveFloat = 3e-4
    """Learning rate of critic and multiplier."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of the critic's average."""
    learn_temperature: bool = True
    """Whether the entropy temperature is learnt; else it stays at `temperature.initial`."""
    regularizer: Literal["H", "rho", "rho_code"] = "H"
    """CQL(H), CQL(rho), or the official code's CQL(rho): see the loss `cql_penalty`."""
    min_q_weight: NonNegativeFloat = 5.0
    """The penalty's weight alpha, against squared TD errors: smaller rewards need a smaller one.
    With a threshold it multiplies the gap that is held."""
    lagrange_threshold: PositiveFloat | None = None
    """The gap tau that a multiplier holds (CQL-Lagrange); none for the fixed weight alone, which
    the official script writes as -1."""
    candidates: PositiveInt = 10
    """Actions of each kind in the penalty's soft maximum."""
    softmax_temperature: PositiveFloat = 1.0
    """T of the penalty's soft maximum T logsumexp(q / T)."""
    policy_eval_start: NonNegativeInt = 40_000
    """First step in which the policy follows Q; before it, it clones the data with the entropy. At
    most a tenth of the steps are spent so, whatever this says."""
    deterministic_backup: bool = True
    """Whether the backup leaves the entropy out."""
    max_q_backup: bool = False
    """Whether the backup takes the best of 10 next actions, without entropy."""


def parts(config: CqlConfig) -> Mapping[str, Part]:
    """Three hidden layers of 256 with ReLU each; the dual variables start at 1."""
    duals = {"temperature": Part("dual")}
    if config.lagrange_threshold is not None:
        duals["multiplier"] = Part("dual")
    sampler = Part("tanh_gaussian", layers=3, min_log_std=-5.0)
    return {"sampler": sampler, "critic": Part("twin_q", layers=3), **duals}


def stages(config: CqlConfig) -> tuple[Stage, ...]:
    """The temperature's step, then critic, multiplier and policy, all at the values before theirs;
    first with a policy that clones, then with one that improves."""
    warm = max(0, min(config.policy_eval_start - 1, config.steps // 10))
    improvement = (Term("sac_actor"),)
    cloning = (Term("entropy"), Term("nll"))
    clone = Stage("clone", warm, _updates(config, cloning), (Ema("critic", rate=config.tau),))
    train = Stage(
        "train",
        config.steps - warm,
        _updates(config, improvement),
        (Ema("critic", rate=config.tau),),
    )
    return (clone, train) if warm else (train,)


def _updates(config: CqlConfig, actor: tuple[Term, ...]) -> tuple[Update, ...]:
    backup: dict[str, Any] = {"entropy": not config.deterministic_backup}
    if config.max_q_backup:
        backup = {"entropy": False, "n": 10, "reduce": "max_then_min"}
    critic = (
        Term("soft_td", discount=config.discount, **backup),
        Term(
            "cql_penalty",
            regularizer=config.regularizer,
            min_q_weight=config.min_q_weight,
            threshold=config.lagrange_threshold,
            n=config.candidates,
            temperature=config.softmax_temperature,
        ),
    )
    trains = {"critic": Adam(lr=config.critic_lr), "sampler": Adam(lr=config.lr)}
    if config.lagrange_threshold is not None:
        trains["multiplier"] = Adam(lr=config.critic_lr)
    actor_critic = Update("actor_critic", trains=trains, losses=(*critic, *actor))
    if not config.learn_temperature:
        return (actor_critic,)
    temperature = {"temperature": Adam(lr=config.lr)}
    return (Update("temperature", temperature, (Term("temperature"),)), actor_critic)


def acts(config: CqlConfig) -> tuple[Act, ...]:
    """tanh of the mean; beside it a draw from the policy."""
    return (Act(name="mode", choose="mode"), Act(name="sample", choose="sample"))


SPEC = AlgorithmSpec(
    name="cql",
    config=CqlConfig,
    cite=CITE,
    summary="SAC with a penalty that makes Q a lower bound",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper=PAPER,
    deviations=DEVIATIONS,
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`cql`."""
    return (SPEC,)
