"""The hooks: all that a plugin can give. Each returns frozen descriptions, without side effect."""

from collections.abc import Iterable

import click
import pluggy

from zoo_core.specs import AlgorithmSpec, CriticSpec, LossSpec, SamplerSpec
from zoo_core.tracking import TrackerSpec

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


@hookspec
def zoo_samplers() -> Iterable[SamplerSpec]:
    """Samplers that any algorithm can name as a part."""
    return ()


@hookspec
def zoo_critics() -> Iterable[CriticSpec]:
    """Critics, value functions and dual variables that any algorithm can name as a part."""
    return ()


@hookspec
def zoo_losses() -> Iterable[LossSpec]:
    """Losses that any algorithm can name as a term."""
    return ()


@hookspec
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """Algorithms that the leaderboard ranks."""
    return ()


@hookspec
def zoo_trackers() -> Iterable[TrackerSpec]:
    """Trackers that take the curves of runs, such as TensorBoard's event files."""
    return ()


@hookspec
def zoo_commands() -> Iterable[click.Command]:
    """Commands and groups that join the command `zoo`."""
    return ()
