"""EDP with IQL: an expectile critic, and a policy cloned by advantage (arXiv:2305.20081)."""

from collections.abc import Iterable, Mapping

from pydantic import Field, NonNegativeFloat

from zoo_core import AlgorithmSpec, Ema, Part, Stage, Term, Update, hookimpl
from zoo_edp.likelihood import Likelihood
from zoo_edp.policy import EdpConfig, actor, acts, critic_part, optimizer, policy_part
from zoo_edp.source import CITE, COMMON, LIKELIHOOD, PAPER, tuned


class EdpIqlConfig(EdpConfig):
    """Settings of `edp_iql`."""

    likelihood: Likelihood = "gaussian"
    """What is weighted: -log of N(â, I) at the data's action, or the denoising error (`bound`)."""
    expectile: float = Field(default=0.7, gt=0.0, lt=1.0)
    """tau of the value's expectile; 0.5 is the behaviour policy's value."""
    beta: NonNegativeFloat = 3.0
    """Inverse temperature of the policy's weights; 0 is behaviour cloning."""


def parts(config: EdpIqlConfig) -> Mapping[str, Part]:
    """The diffusion policy, two critics, and a value of the critics' size."""
    value = Part("value", layers=3, activation="mish")
    return {"sampler": policy_part(), "critic": critic_part(), "value": value}


def stages(config: EdpIqlConfig) -> tuple[Stage, ...]:
    """Value, policy, critic and its average: policy and critic see the new value."""
    value = Update(
        "value",
        trains={"value": optimizer(config)},
        losses=(Term("expectile", expectile=config.expectile),),
    )
    improvement = Term("one_step_awr", likelihood=config.likelihood, beta=config.beta)
    critic = Update(
        "critic",
        trains={"critic": optimizer(config)},
        losses=(Term("td", next="value", discount=config.discount),),
    )
    updates = (value, actor(config, improvement), critic)
    return (Stage("train", config.steps, updates, (Ema("critic", rate=config.tau),)),)


SPEC = AlgorithmSpec(
    name="edp_iql",
    config=EdpIqlConfig,
    cite=CITE,
    summary="a long diffusion cloned by the advantages of an expectile critic (IQL)",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=tuned(locomotion="return_range", antmaze="minus_one"),
    paper=PAPER | {"expectile": 0.7, "beta": 3.0},
    deviations=(
        *COMMON,
        *LIKELIHOOD,
        "No average of the policy is kept: the official code keeps one that nothing reads.",
        "Expectile and temperature are the code's for every dataset; its authors' values by "
        "dataset were not published with it.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`edp_iql`."""
    return (SPEC,)
