"""EDP with CRR: the policy clones what beats its own approximated actions (arXiv:2305.20081)."""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from zoo_core import AlgorithmSpec, Part, Stage, Term, hookimpl
from zoo_edp.likelihood import Likelihood
from zoo_edp.policy import (
    AveragedConfig,
    actor,
    acts,
    averages,
    bootstrapped,
    critic_part,
    policy_part,
)
from zoo_edp.source import CITE, COMMON, LIKELIHOOD, PAPER, tuned


class EdpCrrConfig(AveragedConfig):
    """Settings of `edp_crr`."""

    likelihood: Likelihood = "gaussian"
    """What is weighted: -log of N(â, I) at the data's action, or the denoising error (`bound`)."""
    weights: Literal["exp", "binary"] = "exp"
    """exp(A / temperature) up to a bound, or 1 where A is above 0 and else 0."""
    temperature: PositiveFloat = 1.0
    """Of the exponential weights."""
    candidates: PositiveInt = 10
    """Actions of N(â, I) that the advantage A compares the data's action with."""


def parts(config: EdpCrrConfig) -> Mapping[str, Part]:
    """The diffusion policy and two critics."""
    return {"sampler": policy_part(), "critic": critic_part()}


def stages(config: EdpCrrConfig) -> tuple[Stage, ...]:
    """Policy, then critic: each at the other's old weights, since the critic's target reads
    averages alone."""
    improvement = Term(
        "one_step_crr",
        likelihood=config.likelihood,
        weights=config.weights,
        temperature=config.temperature,
        n=config.candidates,
    )
    updates = (actor(config, improvement), bootstrapped(config))
    return (Stage("train", config.steps, updates, averages(config)),)


SPEC = AlgorithmSpec(
    name="edp_crr",
    config=EdpCrrConfig,
    cite=CITE,
    summary="a long diffusion that clones actions better than its own (CRR)",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=tuned(antmaze="antmaze"),
    paper=PAPER,
    deviations=(
        *COMMON,
        *LIKELIHOOD,
        "Advantages are those of the live critics' minimum, against 10 actions of N(â, I), which "
        "may leave [-1, 1]; weights are clipped at 20 (official code).",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`edp_crr`."""
    return (SPEC,)
