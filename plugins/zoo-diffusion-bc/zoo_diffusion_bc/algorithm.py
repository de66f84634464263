"""Diffusion-BC: a diffusion model of the logged actions (Wang et al. 2023, arXiv:2208.06193).

Minimises the denoising error E_{t, (s, a), eps} ||eps - eps_theta(sqrt(abar_t) a + sqrt(1 - abar_t)
eps, s, t)||^2 (equation 2), and acts by one sample of the reverse chain.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import PositiveFloat, PositiveInt

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


class DiffusionBCConfig(AlgorithmConfig):
    """Settings of `diffusion_bc`."""

    steps: PositiveInt = 2_000_000
    """Training steps."""
    lr: PositiveFloat = 3e-4
    """Learning rate."""


def parts(config: DiffusionBCConfig) -> Mapping[str, Part]:
    """A chain of five steps with three hidden layers of 256."""
    return {"sampler": Part("ddpm", steps=5, schedule="vp", predict="noise", variance="posterior")}


def stages(config: DiffusionBCConfig) -> tuple[Stage, ...]:
    """One stage of denoising."""
    actor = Update("actor", trains={"sampler": Adam(lr=config.lr)}, losses=(Term("nll"),))
    return (Stage("train", config.steps, (actor,)),)


def acts(config: DiffusionBCConfig) -> tuple[Act, ...]:
    """One sample of the whole chain."""
    return (Act(name="sample", choose="sample"),)


TUNED: dict[str, dict[str, Any]] = {
    "*/antmaze*": {"steps": 1_000_000, "reward": "antmaze"},
    "*/antmaze?medium-play-v*": {"lr": 1e-3},
    "*/pen?human-v*": {"steps": 1_000_000, "lr": 3e-5},
    "*/pen?cloned-v*": {"steps": 1_000_000, "lr": 3e-5},
    "*/kitchen*": {"steps": 1_000_000},
    "*/kitchen?complete-v*": {"steps": 250_000},
}

SPEC = AlgorithmSpec(
    name="diffusion_bc",
    config=DiffusionBCConfig,
    cite=Citation(
        title="Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning",
        authors="Wang, Hunt and Zhou",
        year=2023,
        url="https://arxiv.org/abs/2208.06193",
        code="https://github.com/Zhendong-Wang/Diffusion-Policies-for-Offline-RL",
        bibtex="""@inproceedings{wang2023diffusion,
  title={Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning},
  author={Wang, Zhendong and Hunt, Jonathan J and Zhou, Mingyuan},
  booktitle={International Conference on Learning Representations},
  year={2023}
}""",
    ),
    summary="behaviour cloning with a diffusion policy",
    family="cloning",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper={
        "sampler.steps": 5,
        "sampler.schedule": "vp",
        "sampler.hidden": 256,
        "sampler.layers": 3,
        "batch_size": 256,
    },
    deviations=(
        "The denoising error is averaged over action dimensions, as in the official code; the "
        "paper writes their sum, which only scales the gradient that Adam normalises.",
        "No learning-rate decay, which never reaches Diffusion-BC in the official code either.",
        "The score is the last checkpoint's; the official code selects a checkpoint by its loss.",
        "Actions are scaled to [-1, 1], so that the official `max_action` is 1.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`diffusion_bc`."""
    return (SPEC,)
