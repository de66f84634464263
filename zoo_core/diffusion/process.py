"""How noise grows with time: x_t = alpha_t x_0 + sigma_t epsilon with alpha_t^2 + sigma_t^2 = 1.

Solvers see a time t in (0, 1] as a number and compute with exact numbers; a denoiser sees the
network's time, which is the step for a process in steps and t itself for a continuous one.
"""

import bisect
import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from zoo_core.nn import ScheduleName, betas, diffusion_coefficients
from zoo_core.noise import Noise


class Process(Protocol):
    """A variance-preserving process."""

    first: float
    """The minimum time at which a denoiser is trained."""

    def draw(self, noise: Noise, count: int) -> Tensor:
        """Uniform network times [count] of training."""
        ...

    def coefficients(self, times: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma [...] at network times [...], of the type of `like`."""
        ...

    def log_alpha(self, t: float) -> float:
        """log alpha_t."""
        ...

    def time_at(self, log_snr: float) -> float:
        """The time whose half log signal-to-noise ratio, log(alpha / sigma), is given."""
        ...

    def network_time(self, t: float) -> float:
        """The denoiser's input for time t."""
        ...


def sigma_of(log_alpha: float) -> float:
    """sigma = sqrt(1 - alpha^2), exact near 0."""
    return math.sqrt(-math.expm1(2.0 * log_alpha))


def half_log_snr(process: Process, t: float) -> float:
    """lambda_t = log(alpha_t / sigma_t) (DPM-Solver, arXiv:2206.00927)."""
    log_alpha = process.log_alpha(t)
    return log_alpha - math.log(sigma_of(log_alpha))


def _log_alpha_at(log_snr: float) -> float:
    """log alpha from lambda: -1/2 log(1 + exp(-2 lambda)), without overflow."""
    x = -2.0 * log_snr
    return -0.5 * (max(x, 0.0) + math.log1p(math.exp(-abs(x))))


class DiscreteProcess(nn.Module):
    """T steps with given betas; between them log alpha is linear in t, as in DPM-Solver.

    Step i of 0 .. T - 1 is the time t = (i + 1) / T.

    Args:
        betas: [T], see `zoo_core.nn.betas`.
    """

    sqrt_alphas_cumprod: Tensor
    sqrt_one_minus_alphas_cumprod: Tensor

    def __init__(self, betas: Tensor) -> None:
        super().__init__()
        self.constants = diffusion_coefficients(betas)
        cumprod = self.constants.alphas_cumprod
        self.steps = len(betas)
        self.first = 1.0 / self.steps
        self.log_alphas: list[float] = (0.5 * cumprod.log()).tolist()
        # Kept with their reverses: a solver asks for dozens of times in every sample.
        self._times = [(i + 1) / self.steps for i in range(self.steps)]
        self._reversed = (self.log_alphas[::-1], self._times[::-1])
        self.register_buffer("sqrt_alphas_cumprod", cumprod.sqrt())
        self.register_buffer("sqrt_one_minus_alphas_cumprod", (1 - cumprod).sqrt())

    def draw(self, noise: Noise, count: int) -> Tensor:
        """Uniform steps [count], int64."""
        return noise.integers(self.steps, count)

    def coefficients(self, times: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma [...] at steps [...]."""
        alphas, sigmas = self.sqrt_alphas_cumprod, self.sqrt_one_minus_alphas_cumprod
        return alphas.to(like)[times], sigmas.to(like)[times]

    def log_alpha(self, t: float) -> float:
        """log alpha_t; outside the steps, the line through the two outermost."""
        return _on_lines(t, self._times, self.log_alphas)

    def time_at(self, log_snr: float) -> float:
        """The time whose log(alpha / sigma) is given."""
        return _on_lines(_log_alpha_at(log_snr), *self._reversed)

    def network_time(self, t: float) -> float:
        """T t - 1, a fraction between steps."""
        step = t * self.steps - 1.0
        return float(round(step)) if abs(step - round(step)) < 1e-9 else step


KEPT = 0.1
"""The largest share alpha of the action that may be left at the last step of a process."""


def check_noised(schedule: ScheduleName, steps: int) -> None:
    """Refuses a schedule whose last step is not nearly pure noise, from which samples start.

    Raises:
        ValueError: alpha is above `KEPT` at the last step.
    """
    kept = math.sqrt(float((1.0 - betas(schedule, steps)).prod()))
    if kept > KEPT:
        raise ValueError(
            f"schedule '{schedule}' in {steps} steps keeps {kept:.0%} of the action at its last "
            "step, and samples start from pure noise; take more trained_steps, or vp or cosine"
        )


def _on_lines(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """The piecewise linear function through (xs, ys), xs ascending, at x."""
    if len(xs) == 1:
        return ys[0]
    i = min(max(bisect.bisect_left(xs, x), 1), len(xs) - 1)
    share = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[i - 1] * (1.0 - share) + ys[i] * share


class ContinuousProcess(nn.Module):
    """The linear variance-preserving SDE (arXiv:2011.13456): beta_t = b_0 + (b_1 - b_0) t.

    Args:
        smallest: b_0.
        largest: b_1.
        first: Minimum time of training.
    """

    def __init__(self, smallest: float = 0.1, largest: float = 20.0, first: float = 1e-3) -> None:
        super().__init__()
        self.smallest, self.largest, self.first = smallest, largest, first

    def draw(self, noise: Noise, count: int) -> Tensor:
        """Uniform times [count] in [first, 1)."""
        return noise.uniform(count) * (1.0 - self.first) + self.first

    def coefficients(self, times: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma [...] at times [...]."""
        t = times.to(like)
        log_alpha = -0.25 * t.square() * (self.largest - self.smallest) - 0.5 * t * self.smallest
        return log_alpha.exp(), (-torch.expm1(2.0 * log_alpha)).sqrt()

    def log_alpha(self, t: float) -> float:
        """-t^2 (b_1 - b_0) / 4 - t b_0 / 2."""
        return -0.25 * t * t * (self.largest - self.smallest) - 0.5 * t * self.smallest

    def time_at(self, log_snr: float) -> float:
        """The time whose log(alpha / sigma) is given."""
        width = self.largest - self.smallest
        grown = -4.0 * width * _log_alpha_at(log_snr)
        return grown / (math.sqrt(self.smallest**2 + grown) + self.smallest) / width

    def network_time(self, t: float) -> float:
        """t itself."""
        return t
