"""TD3+BC: TD3 with a cloning term and normalised states (Fujimoto and Gu 2021, arXiv:2106.06860).

The actor maximises lambda Q(s, pi(s)) - (pi(s) - a)^2 with lambda = alpha / mean |Q| (equations 3
and 5); the critic is TD3's: clipped double Q with target policy smoothing.
"""

from collections.abc import Iterable, Mapping

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


class TD3BCConfig(AlgorithmConfig):
    """Settings of `td3_bc`."""

    normalize_observations: bool = True
    """Whether observations are standardised, with 1e-3 added to the standard deviation."""
    lr: PositiveFloat = 3e-4
    """Learning rate of actor and critic."""
    alpha: NonNegativeFloat = 2.5
    """Weight of the normalised Q term beside the cloning term; 0 is behaviour cloning."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of the averages."""
    policy_noise: NonNegativeFloat = 0.2
    """Standard deviation of the target policy's smoothing noise."""
    noise_clip: PositiveFloat = 0.5
    """Bound of that noise."""
    policy_every: PositiveInt = 2
    """Critic updates per update of the actor and of both averages."""


def parts(config: TD3BCConfig) -> Mapping[str, Part]:
    """Two hidden layers of 256 with ReLU each."""
    return {"sampler": Part("deterministic"), "critic": Part("twin_q")}


def stages(config: TD3BCConfig) -> tuple[Stage, ...]:
    """Critic in every step; actor, then both averages, in every second one."""
    td = Term(
        "td",
        discount=config.discount,
        smoothing=config.policy_noise,
        smoothing_clip=config.noise_clip,
    )
    critic = Update("critic", trains={"critic": Adam(lr=config.lr)}, losses=(td,))
    actor = Update(
        "actor",
        trains={"sampler": Adam(lr=config.lr)},
        losses=(Term("q_norm", weight=config.alpha), Term("nll")),
        every=config.policy_every,
    )
    emas = tuple(
        Ema(part, rate=config.tau, every=config.policy_every) for part in ("critic", "sampler")
    )
    return (Stage("train", config.steps, (critic, actor), emas),)


def acts(config: TD3BCConfig) -> tuple[Act, ...]:
    """The policy's action."""
    return (Act(name="mode", choose="mode"),)


SPEC = AlgorithmSpec(
    name="td3_bc",
    config=TD3BCConfig,
    cite=Citation(
        title="A Minimalist Approach to Offline Reinforcement Learning",
        authors="Fujimoto and Gu",
        year=2021,
        url="https://arxiv.org/abs/2106.06860",
        code="https://github.com/sfujim/TD3_BC",
        bibtex="""@inproceedings{fujimoto2021minimalist,
  title={A Minimalist Approach to Offline Reinforcement Learning},
  author={Fujimoto, Scott and Gu, Shixiang Shane},
  booktitle={Advances in Neural Information Processing Systems},
  year={2021}
}""",
    ),
    summary="TD3 with a behaviour-cloning term",
    parts=parts,
    stages=stages,
    acts=acts,
    # The paper has one setting for all of its datasets, so that `tuned` equals `default`.
    paper={
        "steps": 1_000_000,
        "batch_size": 256,
        "normalize_observations": True,
        "lr": 3e-4,
        "alpha": 2.5,
        "discount": 0.99,
        "tau": 0.005,
        "policy_noise": 0.2,
        "noise_clip": 0.5,
        "policy_every": 2,
        "sampler.hidden": 256,
        "sampler.layers": 2,
        "critic.hidden": 256,
        "critic.layers": 2,
        "train.actor.q_norm.scale_at": "data",
    },
    deviations=(
        "lambda divides by the mean |Q| of the policy's actions, as the official code does; "
        "equation 5 writes the data's actions: --set train.actor.q_norm.scale_at=data.",
        "The cloning error is averaged over action dimensions, as in the official code; the paper "
        "writes the squared norm: --set sampler.reduction=sum.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`td3_bc`."""
    return (SPEC,)
