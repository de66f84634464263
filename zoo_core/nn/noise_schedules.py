"""Noise schedules of diffusion, and the quantities that follow from them.

The three schedules are those of Diffusion-QL's official code (`agents/helpers.py` beside
arXiv:2208.06193), in float64: callers cast when they are done.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

ScheduleName = Literal["linear", "cosine", "vp"]


def linear_betas(steps: int, first: float = 1e-4, last: float = 2e-2) -> Tensor:
    """Betas [T] that grow linearly (DDPM, arXiv:2006.11239)."""
    return torch.linspace(first, last, steps, dtype=torch.float64)


def cosine_betas(steps: int, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """Betas [T] for which the cumulated alpha is a squared cosine (arXiv:2102.09672, eq. 17)."""
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alphas_cumprod = torch.cos((times + offset) / (1 + offset) * torch.pi / 2).square()
    return (1 - alphas_cumprod[1:] / alphas_cumprod[:-1]).clamp(0, largest)


def vp_betas(steps: int, smallest: float = 0.1, largest: float = 10.0) -> Tensor:
    """Betas [T] of the variance-preserving process in T steps (arXiv:2112.07804, arXiv:2011.13456).

    1 - exp(-b_min / T - (b_max - b_min) (2t - 1) / (2 T^2)), t = 1 .. T.
    """
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    rate = smallest / steps + 0.5 * (largest - smallest) * (2 * t - 1) / steps**2
    return -torch.expm1(-rate)


def betas(name: ScheduleName, steps: int) -> Tensor:
    """The named schedule's betas, float64 [T].

    Raises:
        ValueError: an unknown name, or no step.
    """
    if steps < 1:
        raise ValueError(f"a noise schedule has at least one step, got {steps}")
    if name not in _SCHEDULES:
        raise ValueError(f"no noise schedule {name!r}; known: {', '.join(get_args(ScheduleName))}")
    return _SCHEDULES[name](steps)


_SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas, "vp": vp_betas}


@dataclass(frozen=True)
class DiffusionCoefficients:
    """What DDPM (arXiv:2006.11239) needs at each of its times 0 .. T - 1; all float64 [T]."""

    betas: Tensor
    alphas: Tensor
    """1 - beta."""
    alphas_cumprod: Tensor
    """Products of the alphas up to and with this time."""
    alphas_cumprod_before: Tensor
    """The same up to the time before; 1 at time 0."""
    posterior_variance: Tensor
    """Of q(x_{t-1} | x_t, x_0), equation 7; 0 at time 0."""
    posterior_mean_x0: Tensor
    """The factor of x_0 in that distribution's mean."""
    posterior_mean_x: Tensor
    """The factor of x_t in it."""


def diffusion_coefficients(betas: Tensor) -> DiffusionCoefficients:
    """The quantities above from betas [T], each in (0, 1).

    Raises:
        ValueError: a beta outside (0, 1), or not one dimension.
    """
    betas = betas.double()
    if betas.dim() != 1 or not bool(((betas > 0) & (betas < 1)).all()):
        raise ValueError("betas are of one dimension and lie between 0 and 1")
    alphas = 1 - betas
    cumprod = alphas.cumprod(0)
    before = torch.cat([cumprod.new_ones(1), cumprod[:-1]])
    return DiffusionCoefficients(
        betas=betas,
        alphas=alphas,
        alphas_cumprod=cumprod,
        alphas_cumprod_before=before,
        posterior_variance=betas * (1 - before) / (1 - cumprod),
        posterior_mean_x0=betas * before.sqrt() / (1 - cumprod),
        posterior_mean_x=(1 - before) * alphas.sqrt() / (1 - cumprod),
    )
