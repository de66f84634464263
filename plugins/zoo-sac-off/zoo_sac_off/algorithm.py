"""SAC on logged data (Haarnoja et al. 2018, arXiv:1812.05905), with nothing to hold it to the data.

Clipped double Q with the soft backup, a squashed Gaussian policy, and a temperature that descends
towards a target entropy. On narrow data the policy runs to actions that nobody tried, where Q is
extrapolated: the failure that CQL (arXiv:2006.04779) is made to repair, and the control for it.
"""

from collections.abc import Iterable, Mapping

from pydantic import Field, PositiveFloat

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


class SacOffConfig(AlgorithmConfig):
    """Settings of `sac_off`."""

    lr: PositiveFloat = 3e-4
    """Learning rate of policy, critic and temperature."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of the critic's average."""
    learn_temperature: bool = True
    """Whether the temperature is learnt; else it stays at `temperature.initial`."""


def parts(config: SacOffConfig) -> Mapping[str, Part]:
    """Two hidden layers of 256 with ReLU each, and a temperature that starts at 1."""
    return {
        "sampler": Part("tanh_gaussian"),
        "critic": Part("twin_q"),
        "temperature": Part("dual"),
    }


def stages(config: SacOffConfig) -> tuple[Stage, ...]:
    """The temperature's step, then critic and policy, both at the values before their steps."""
    temperature = Update(
        "temperature", trains={"temperature": Adam(lr=config.lr)}, losses=(Term("temperature"),)
    )
    actor_critic = Update(
        "actor_critic",
        trains={"critic": Adam(lr=config.lr), "sampler": Adam(lr=config.lr)},
        losses=(Term("soft_td", discount=config.discount), Term("sac_actor")),
    )
    updates = (temperature, actor_critic) if config.learn_temperature else (actor_critic,)
    return (Stage("train", config.steps, updates, (Ema("critic", rate=config.tau),)),)


def acts(config: SacOffConfig) -> tuple[Act, ...]:
    """tanh of the mean; beside it a draw from the policy."""
    return (Act(name="mode", choose="mode"), Act(name="sample", choose="sample"))


SPEC = AlgorithmSpec(
    name="sac_off",
    config=SacOffConfig,
    cite=Citation(
        title="Soft Actor-Critic Algorithms and Applications",
        authors="Haarnoja, Zhou, Hartikainen, Tucker, Ha, Tan, Kumar, Zhu, Gupta, Abbeel, Levine",
        year=2018,
        url="https://arxiv.org/abs/1812.05905",
        code="https://github.com/aviralkumar2907/CQL",
        bibtex="""@article{haarnoja2018applications,
  title={Soft Actor-Critic Algorithms and Applications},
  author={Haarnoja, Tuomas and Zhou, Aurick and Hartikainen, Kristian and Tucker, George and
    Ha, Sehoon and Tan, Jie and Kumar, Vikash and Zhu, Henry and Gupta, Abhishek and
    Abbeel, Pieter and Levine, Sergey},
  journal={arXiv preprint arXiv:1812.05905},
  year={2018}
}""",
    ),
    summary="SAC on logged data with nothing added: the control for CQL",
    parts=parts,
    stages=stages,
    acts=acts,
    paper={
        "steps": 1_000_000,
        "batch_size": 256,
        "lr": 3e-4,
        "discount": 0.99,
        "tau": 0.005,
        "learn_temperature": True,
        "sampler.hidden": 256,
        "sampler.layers": 2,
        "critic.hidden": 256,
        "critic.layers": 2,
        "train.temperature.temperature.factor": "value",
    },
    deviations=(
        "Trained on logged data alone, where the paper's agent collects its own.",
        "Critic and policy step together, both losses at the values before either step, as in "
        "rlkit's code; algorithm 1 steps the critic first. One step's learning rate apart.",
        "The temperature's loss has log(temperature) for a factor, as in the authors' code and "
        "rlkit; equation 18 has the temperature: --set train.temperature.temperature.factor=value.",
        "The log deviation is within [-20, 2], as in the paper's code; CQL's repository has "
        "[-5, 2]: --set sampler.min_log_std=-5.",
        "log(1 - tanh(u)^2) is computed exactly; rlkit adds 1e-6 inside the logarithm, a guard of "
        "its rounding.",
        "Networks start as torch's linear layers do; rlkit draws weights within 1/sqrt(outputs), "
        "biases 0.1 and small last layers.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`sac_off`."""
    return (SPEC,)
