"""BCQ: Q-learning over actions that a generative model of the data proposes (Fujimoto et al. 2019,
arXiv:1812.02900).

A conditional VAE proposes actions, a bounded perturbation improves them, and the best of several by
a critic is taken, both in the backup and when acting (algorithm 1).
"""

from collections.abc import Iterable, Mapping

from pydantic import Field, PositiveFloat, PositiveInt

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


class BCQConfig(AlgorithmConfig):
    """Settings of `bcq`."""

    batch_size: PositiveInt = 100
    """Transitions per step."""
    lr: PositiveFloat = 1e-3
    """Learning rate of VAE, critic and perturbation."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of the averages."""
    mix: float = Field(default=0.75, ge=0.0, le=1.0)
    """Weight lambda of the least critic in the target; the greatest has the rest."""
    candidates: PositiveInt = 10
    """Actions n per next observation in the target."""


def parts(config: BCQConfig) -> Mapping[str, Part]:
    """A VAE of two layers of 750; critics and perturbation of 400 and 300; ReLU everywhere."""
    return {"sampler": Part("perturbed"), "critic": Part("twin_q", hidden=(400, 300))}


def stages(config: BCQConfig) -> tuple[Stage, ...]:
    """VAE, critic, perturbation, then the averages of the latter two, in every step (algorithm 1).

    The target's actions come from the live VAE and the averaged perturbation.
    """
    backup = Term("td", discount=config.discount, n=config.candidates, reduce=f"mix({config.mix})")
    updates = (
        Update("vae", trains={"sampler.vae": Adam(lr=config.lr)}, losses=(Term("nll"),)),
        Update("critic", trains={"critic": Adam(lr=config.lr)}, losses=(backup,)),
        Update(
            "perturbation",
            trains={"sampler.perturbation": Adam(lr=config.lr)},
            losses=(Term("dpg"),),
        ),
    )
    emas = (Ema("critic", rate=config.tau), Ema("sampler.perturbation", rate=config.tau))
    return (Stage("train", config.steps, updates, emas),)


def acts(config: BCQConfig) -> tuple[Act, ...]:
    """The first critic's choice among 100 candidates; beside it a single one."""
    best = Act(name="best_of_100", choose="argmax", n=100, score="critic", reduce="first")
    return (best, Act(name="sample", choose="sample"))


SPEC = AlgorithmSpec(
    name="bcq",
    config=BCQConfig,
    cite=Citation(
        title="Off-Policy Deep Reinforcement Learning without Exploration",
        authors="Fujimoto, Meger and Precup",
        year=2019,
        url="https://arxiv.org/abs/1812.02900",
        code="https://github.com/sfujim/BCQ",
        bibtex="""@inproceedings{fujimoto2019off,
  title={Off-Policy Deep Reinforcement Learning without Exploration},
  author={Fujimoto, Scott and Meger, David and Precup, Doina},
  booktitle={International Conference on Machine Learning},
  year={2019}
}""",
    ),
    summary="Q-learning over perturbed actions of a generative model, the best of several",
    parts=parts,
    stages=stages,
    acts=acts,
    # The paper has one setting for all of its datasets, so that `tuned` equals `default`.
    paper={
        "steps": 1_000_000,
        "batch_size": 100,
        "lr": 1e-3,
        "discount": 0.99,
        "tau": 0.005,
        "mix": 0.75,
        "candidates": 10,
        "sampler.hidden": 750,
        "sampler.phi": 0.05,
        "sampler.latent_clip": 0.5,
        "sampler.reduction": "sum",
        "sampler.perturbation_hidden": (400, 300),
        "critic.hidden": (400, 300),
        "acts.best_of_100.n": 10,
    },
    deviations=(
        "The VAE's squared error is averaged over action dimensions, as in the official code; the "
        "paper writes the squared norm: --set sampler.reduction=sum.",
        "Acts by the best of 100 candidates, as the official code does; the paper's algorithm 1 "
        "has the target's n = 10: --set acts.best_of_100.n=10.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`bcq`."""
    return (SPEC,)
