"""Behaviour cloning (Pomerleau 1991): a policy fitted to the logged actions.

Minimises E_D[nll(a | s)]: -log p for the Gaussian policy, a squared error for the other.
"""

from collections.abc import Iterable, Mapping
from functools import partial

from pydantic import PositiveFloat

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


class BCConfig(AlgorithmConfig):
    """Settings of `bc` and `bc_deterministic`."""

    lr: PositiveFloat = 3e-4
    """Learning rate."""


def parts(config: BCConfig, sampler: str) -> Mapping[str, Part]:
    """A policy of two hidden layers of 256."""
    return {"sampler": Part(sampler)}


def stages(config: BCConfig) -> tuple[Stage, ...]:
    """One stage of maximum likelihood."""
    actor = Update("actor", trains={"sampler": Adam(lr=config.lr)}, losses=(Term("nll"),))
    return (Stage("train", config.steps, (actor,)),)


def acts(config: BCConfig) -> tuple[Act, ...]:
    """The mode, which a swapped sampler may lack; beside it a sample."""
    return (Act(name="mode", choose="mode_or_sample"), Act(name="sample", choose="sample"))


CITE = Citation(
    title="Efficient Training of Artificial Neural Networks for Autonomous Navigation",
    authors="Pomerleau",
    year=1991,
    url="https://doi.org/10.1162/neco.1991.3.1.88",
    bibtex="""@article{pomerleau1991efficient,
  title={Efficient training of artificial neural networks for autonomous navigation},
  author={Pomerleau, Dean A},
  journal={Neural Computation},
  volume={3},
  number={1},
  pages={88--97},
  year={1991}
}""",
)

DEVIATIONS = (
    "The paper steers a car with a small network trained by backpropagation; networks, optimizer "
    "and batch size are those of today's offline-RL baselines (CORL's BC: 2 layers of 256, Adam "
    "at 3e-4, batches of 256).",
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`bc` and `bc_deterministic`."""
    for name, sampler, summary in (
        ("bc", "gaussian", "behaviour cloning by maximum likelihood of a Gaussian policy"),
        ("bc_deterministic", "deterministic", "behaviour cloning by least squares"),
    ):
        yield AlgorithmSpec(
            name=name,
            config=BCConfig,
            cite=CITE,
            summary=summary,
            family="cloning",
            parts=partial(parts, sampler=sampler),
            stages=stages,
            acts=acts,
            deviations=DEVIATIONS,
        )
