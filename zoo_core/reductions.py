"""How candidates and ensemble members become one value: named pure functions of q [E, n, B].

A reduction is named in settings by text such as `min`, `mix(0.75)` or `softmax(3.0)`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator
from torch import Tensor

Members = Literal["min", "mean", "first"]
"""How ensemble members become one: their minimum, their mean, or the first member."""


def over_members(q: Tensor, how: Members) -> Tensor:
    """[E, ...] -> [...]."""
    if how == "min":
        return q.amin(0)
    return q.mean(0) if how == "mean" else q[0]


def minimum(q: Tensor) -> Tensor:
    """Minimum over members, mean over candidates (clipped double Q, arXiv:1802.09477)."""
    return q.amin(0).mean(0)


def mean(q: Tensor) -> Tensor:
    """Mean over members and candidates."""
    return q.mean((0, 1))


def first(q: Tensor) -> Tensor:
    """The first member's mean over candidates."""
    return q[0].mean(0)


def max_then_min(q: Tensor) -> Tensor:
    """Each member's best candidate, then the minimum of them (Diffusion-QL's max-Q backup)."""
    return q.amax(1).amin(0)


def min_then_max(q: Tensor) -> Tensor:
    """The candidate whose least member is best."""
    return q.amin(0).amax(0)


def mix(q: Tensor, weight: float) -> Tensor:
    """Soft clipped double Q (BCQ, arXiv:1812.02900): the best candidate by
    weight min + (1 - weight) max over members."""
    return (weight * q.amin(0) + (1.0 - weight) * q.amax(0)).amax(0)


def softmax(q: Tensor, alpha: float) -> Tensor:
    """Minimum over members, then a mean over candidates weighted by softmax(alpha q)
    (QGPO's in-support softmax, arXiv:2304.12824)."""
    lowest = q.amin(0)
    return ((alpha * lowest).softmax(0) * lowest).sum(0)


PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "min": minimum,
    "mean": mean,
    "first": first,
    "max_then_min": max_then_min,
    "min_then_max": min_then_max,
}
WITH_NUMBER: dict[str, Callable[[Tensor, float], Tensor]] = {"mix": mix, "softmax": softmax}


def reduction(text: str) -> Callable[[Tensor], Tensor]:
    """The function [E, n, B] -> [B] that `text` names.

    Raises:
        ValueError: no such reduction (the message lists them), a number that is not finite, a
            weight of `mix` outside [0, 1], or a number of `softmax` that is not above 0.
    """
    if text in PLAIN:
        return PLAIN[text]
    called = re.fullmatch(r"(\w+)\((-?\d+(?:\.\d*)?(?:e[+-]?\d+)?)\)", text)
    if called and called[1] in WITH_NUMBER:
        function, number = WITH_NUMBER[called[1]], float(called[2])
        if not math.isfinite(number):
            raise ValueError(f"{called[1]} takes a finite number")
        if function is mix and not 0.0 <= number <= 1.0:
            raise ValueError(f"mix takes a weight from 0 to 1 (got {called[2]})")
        if function is softmax and number <= 0.0:
            raise ValueError(f"softmax takes a number above 0 (got {called[2]})")
        return lambda q: function(q, number)
    names = ", ".join([*PLAIN, *(f"{name}(NUMBER)" for name in WITH_NUMBER)])
    raise ValueError(f"no reduction '{text}'; there are {names}")


def _checked(text: str) -> str:
    reduction(text)
    return text


Reduction = Annotated[str, AfterValidator(_checked)]
"""The settings' type for a reduction's name."""
