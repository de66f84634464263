"""The parts and losses that two plugins or more share, registered as an ordinary plugin."""

from collections.abc import Iterable

from zoo_core.builtin import ddpm, deterministic, gaussian, nll, q_norm, td, twin_q
from zoo_core.hookspecs import hookimpl
from zoo_core.specs import CriticSpec, LossSpec, SamplerSpec


@hookimpl
def zoo_samplers() -> Iterable[SamplerSpec]:
    """deterministic, gaussian, ddpm."""
    return (deterministic.SPEC, gaussian.SPEC, ddpm.SPEC)


@hookimpl
def zoo_critics() -> Iterable[CriticSpec]:
    """twin_q."""
    return (twin_q.SPEC,)


@hookimpl
def zoo_losses() -> Iterable[LossSpec]:
    """nll, td, q_norm."""
    return (nll.SPEC, td.SPEC, q_norm.SPEC)
