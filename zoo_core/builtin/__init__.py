"""The parts and losses that two plugins or more share, registered as an ordinary plugin."""

from collections.abc import Iterable

from zoo_core.builtin import (
    advantage_nll,
    ddim,
    ddpm,
    deterministic,
    dpm_solver,
    dual,
    entropy,
    expectile,
    gaussian,
    guided,
    nll,
    q_norm,
    sac_actor,
    soft_td,
    tanh_gaussian,
    td,
    temperature,
    twin_q,
    vae,
    value,
)
from zoo_core.hookspecs import hookimpl
from zoo_core.specs import CriticSpec, LossSpec, SamplerSpec


@hookimpl
def zoo_samplers() -> Iterable[SamplerSpec]:
    """deterministic, gaussian, tanh_gaussian, vae, ddpm, ddim, dpm_solver, guided."""
    return (
        deterministic.SPEC,
        gaussian.SPEC,
        tanh_gaussian.SPEC,
        vae.SPEC,
        ddpm.SPEC,
        ddim.SPEC,
        dpm_solver.SPEC,
        guided.SPEC,
    )


@hookimpl
def zoo_critics() -> Iterable[CriticSpec]:
    """twin_q, value, dual."""
    return (
        twin_q.SPEC,
        value.SPEC,
        dual.SPEC,
    )


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """nll, td, soft_td, sac_actor, entropy, temperature, q_norm, expectile, advantage_nll."""
    return (
        nll.SPEC,
        td.SPEC,
        soft_td.SPEC,
        sac_actor.SPEC,
        entropy.SPEC,
        temperature.SPEC,
        q_norm.SPEC,
        expectile.SPEC,
        advantage_nll.SPEC,
    )
