"""Contrastive energy prediction: the intermediate energy of a guided diffusion.

At every noise level the exact guidance is the gradient of E_t(s, a_t) = log E[exp(beta Q(s, a_0)) |
a_t]. Among M noised actions of the behaviour, log-softmax of E_t against softmax of beta Q has
exactly this optimum, up to a constant of s and t (Lu et al. 2023, arXiv:2304.12824, theorem 3.2);
regression to beta Q itself has E[beta Q | a_t], which is another function at every t > 0.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo_core import Config, Context, Critic, HasScale, Loss, LossSpec, Metrics, Sampler, hookimpl


class CepConfig(Config):
    """Settings of the loss `cep`."""

    beta: PositiveFloat = 3.0
    """Inverse temperature of the policy."""
    method: Literal["cep", "mse", "emse"] = "cep"
    """`cep`; `mse` regresses E_t to beta Q at the data's actions; `emse` regresses exp(E_t) to
    exp(beta (Q - the support's best Q)), both exponents between -100 and 4.5."""
    column: str = "support"
    """The prepared column with actions [M, A] of each observation."""


def build(config: CepConfig) -> Loss:
    """The loss."""

    def labels(context: Context, actions: Tensor) -> Tensor:
        """beta Q [..., B] of actions [..., B, A]."""
        with torch.no_grad():
            q = context.target.critic.q(context.batch.observations, actions)
        return config.beta * q.amin(0)

    def cep(context: Context) -> tuple[Tensor, Metrics]:
        actions = _support(context, config.column)
        wanted = labels(context, actions).softmax(0)
        found = _noised_energy(context, actions).log_softmax(0)
        return -(wanted * found).sum(0).mean(), {"largest_label": wanted.amax(0).mean()}

    def mse(context: Context) -> tuple[Tensor, Metrics]:
        actions = context.batch.actions
        energy = _noised_energy(context, actions)
        return (energy - labels(context, actions)).square().mean(), {}

    def emse(context: Context) -> tuple[Tensor, Metrics]:
        actions = context.batch.actions
        energy = _noised_energy(context, actions)
        best = labels(context, _support(context, config.column)).amax(0)
        wanted = _bounded_exp(labels(context, actions) - best)
        return (_bounded_exp(energy) - wanted).square().mean(), {}

    methods: dict[str, Callable[[Context], tuple[Tensor, Metrics]]]
    methods = {"cep": cep, "mse": mse, "emse": emse}
    return methods[config.method]


def _support(context: Context, column: str) -> Tensor:
    """[M, B, A]"""
    return context.batch.columns[column].transpose(0, 1)


def _noised_energy(context: Context, actions: Tensor) -> Tensor:
    """E_t(s, a_t) [..., B] of noised actions [..., B, A], at one time for each observation."""
    prior, energy = context.part("sampler.prior"), context.part("sampler.energy")
    times = prior.process.draw(context.noise, actions.shape[-2])
    noised = prior.diffused(actions, times, context.noise.normal(*actions.shape))
    found: Tensor = energy(context.batch.observations, noised, times)
    return found


def _bounded_exp(x: Tensor) -> Tensor:
    return x.clamp(-100.0, 4.5).exp()


SPEC = LossSpec(
    name="cep",
    config=CepConfig,
    build=build,
    reads={
        "sampler": (HasScale,),
        "sampler.prior": (Sampler,),
        "sampler.energy": (),
        "target.critic": (Critic,),
    },
    minimises="-E_D,t sum_i softmax_i(beta Q(s, a_i)) log softmax_i(E_t(s, a_i + noise)) with a_i "
    "a prepared column",
    cite="Lu et al. 2023, arXiv:2304.12824, equation 12",
    columns=lambda config: () if config.method == "mse" else (config.column,),
)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """`cep`."""
    return (SPEC,)
