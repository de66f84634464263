"""EDP with TD3: the policy follows Q through the approximated action (arXiv:2305.20081)."""

from collections.abc import Iterable, Mapping

from pydantic import NonNegativeFloat

from zoo_core import AlgorithmSpec, Part, Stage, Term, hookimpl
from zoo_edp.policy import (
    AveragedConfig,
    actor,
    acts,
    averages,
    bootstrapped,
    critic_part,
    policy_part,
)
from zoo_edp.source import CITE, COMMON, PAPER, tuned


class EdpTd3Config(AveragedConfig):
    """Settings of `edp`."""

    alpha: NonNegativeFloat = 2.0
    """Weight of the normalised Q term beside the denoising error."""


def parts(config: EdpTd3Config) -> Mapping[str, Part]:
    """The diffusion policy and two critics."""
    return {"sampler": policy_part(), "critic": critic_part()}


def stages(config: EdpTd3Config) -> tuple[Stage, ...]:
    """Policy, then critic: each at the other's old weights, since the critic's target reads
    averages alone."""
    improvement = Term("one_step_q", weight=config.alpha)
    updates = (actor(config, improvement), bootstrapped(config))
    return (Stage("train", config.steps, updates, averages(config)),)


SPEC = AlgorithmSpec(
    name="edp",
    config=EdpTd3Config,
    cite=CITE,
    summary="a long diffusion improved by Q-learning through a one-step action (TD3)",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=tuned(antmaze="antmaze"),
    paper=PAPER | {"acts.best_of_10.n": 10},
    deviations=(
        *COMMON,
        "Q is divided by its own mean |Q| at the approximated actions and weighed by 2 (official "
        "code); one of the two critics by a coin in every update, as there.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`edp`."""
    return (SPEC,)
