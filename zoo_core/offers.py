"""Checks of the objects that hooks give, so that an invalid one is refused with a reason."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from zoo_core.config import Config
from zoo_core.specs import AlgorithmSpec, CriticSpec, LossSpec, SamplerSpec
from zoo_core.tracking import TrackerSpec

OFFERS = 10_000
"""Maximum number of objects per hook; more are taken for a generator that never ends."""

HOOKS: dict[str, tuple[str, Any]] = {
    "zoo_samplers": ("sampler", SamplerSpec),
    "zoo_critics": ("critic", CriticSpec),
    "zoo_losses": ("loss", LossSpec),
    "zoo_algorithms": ("algorithm", AlgorithmSpec),
    "zoo_trackers": ("tracker", TrackerSpec),
    "zoo_commands": ("command", click.Command),
}
"""For each hook, the kind of object that it gives and its type."""


@dataclass(frozen=True)
class Offer:
    """One object that a hook gave, or the reason why it is refused."""

    kind: str
    name: str = ""
    spec: Any = None
    problem: str = ""


def take(hook: str, gives: Callable[..., Any], offers: list[Offer]) -> None:
    """Adds all that a hook gives to `offers`.

    Raises:
        ValueError: the hook gives too many objects, as a generator that never ends does.
    """
    for spec in itertools.islice(gives(), OFFERS):
        offers.append(_offer(hook, spec))
    if len(offers) == OFFERS:
        raise ValueError(f"gives {OFFERS} things or more")


def _offer(hook: str, spec: Any) -> Offer:
    kind, expected = HOOKS[hook]
    if not isinstance(spec, expected):
        problem = f"{hook}() gave a {type(spec).__name__}, not a {expected.__name__}"
        return Offer(kind, problem=problem)
    name: Any = spec.name
    if not isinstance(name, str) or not name:
        return Offer(kind, problem=f"{hook}() gave a {kind} without a name")
    if not name.isprintable() or set(name) & set(" /\\="):
        problem = f"{hook}() gave a {kind} with the name {name!r}, which is not one printable word"
        return Offer(kind, problem=problem)
    reserved = {"weight", "name"} & set(getattr(spec, "config", Config).model_fields)
    if kind == "loss" and reserved:
        problem = f"the loss '{name}' has a setting '{min(reserved)}', which every term has"
        return Offer(kind, problem=problem)
    return Offer(kind, name, spec)
