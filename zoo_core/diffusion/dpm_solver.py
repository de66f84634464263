"""DPM-Solver and DPM-Solver++ of orders 1, 2 and 3 (arXiv:2206.00927, arXiv:2211.01095).

The diffusion ODE is solved in lambda = log(alpha / sigma). With h the step in lambda, expanding
the noise gives x_t = (alpha_t / alpha_s) x_s - sigma_t sum_n phi_{n+1}(h) epsilon^(n), and
expanding the clean action gives the same with alpha and sigma exchanged and -h for h: one formula
serves both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from zoo_core.diffusion.prediction import Prediction
from zoo_core.diffusion.process import Process, half_log_snr, sigma_of
from zoo_core.diffusion.solver import Solver, Spacing
from zoo_core.diffusion.spacing import spaced
from zoo_core.noise import Noise

RESIDUE = 0.02
"""Deviation of the noise that may be left in an action."""

KEPT = 1e-3
"""Minimum share alpha of the action at the start of singlesteps that expand the noise: below, they
multiply the error of the first step by up to 1 / alpha."""

_Model = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class _Jump:
    """From one time to another: x_t = kept x_s - size (phi(1) m_s + ...)."""

    kept: float
    size: float
    step: float
    """h, or -h where the clean action is expanded."""

    def phi(self, n: int) -> float:
        """expm1(H), then phi_n = phi_{n-1} / H - 1 / (n - 1)! (n up to 3)."""
        value = math.expm1(self.step)
        for i in range(1, n):
            value = value / self.step - 1.0 / math.factorial(i)
        return value


class DpmSolver:
    """A fixed number of network calls, whose times and coefficients are numbers known beforehand.

    Args:
        process: Of the diffusion.
        solver: Steps (15 if None), order, method, expansion, spacing, end and last call.

    Raises:
        ValueError: fewer steps than the order, an end before the minimum time of training, or an
            expansion that diverges.
    """

    def __init__(self, process: Process, solver: Solver) -> None:
        self.process, self.order = process, solver.order
        self.expand: Literal["noise", "x0"] = solver.expand
        self.steps = 15 if solver.steps is None else solver.steps
        if self.steps < self.order:
            raise ValueError(f"order {self.order} needs at least {self.order} steps")
        self.method = solver.method
        self.halve_curvature = solver.halve_curvature
        end = process.first if solver.end is None else solver.end
        if end < process.first * (1.0 - 1e-9):
            minimum = f"the minimum time of training, {process.first:g}"
            raise ValueError(f"end must not lie before {minimum} (got {end:g})")
        kept = math.exp(process.log_alpha(1.0))
        singlestep = solver.method == "singlestep" and self.order > 1
        if singlestep and self.expand == "noise" and kept < KEPT:
            raise ValueError(
                f"expand=noise with method=singlestep amplifies errors where only {kept:.1g} of "
                "the action is left in the noise, as in schedule=cosine; set expand=x0"
            )
        self.denoise_to_zero = solver.denoise_to_zero
        if self.denoise_to_zero is None:
            self.denoise_to_zero = solver.end is None and sigma_of(process.log_alpha(end)) > RESIDUE
        moves = self.steps - int(self.denoise_to_zero)
        last = [end if moves else 1.0] if self.denoise_to_zero else []
        if solver.method == "multistep":
            self.grid = spaced(process, solver.spacing, 1.0, end, moves)
            self.times = [*self.grid[:-1], *last]
        else:
            self.orders = _orders(moves, self.order)
            self.inner = self._inner(solver.spacing, end, moves)
            self.times = [*(t for inner in self.inner for t in inner[:-1]), *last]

    def solve(self, prediction: Prediction, x: Tensor, noise: Noise) -> Tensor:
        """A sample [..., A] from pure noise x [..., A]; draws nothing more."""
        model = prediction.noise if self.expand == "noise" else prediction.clean
        x = (self._multistep if self.method == "multistep" else self._singlestep)(model, x)
        return prediction.clean(x, len(self.times) - 1) if self.denoise_to_zero else x

    def _inner(self, spacing: Spacing, end: float, moves: int) -> list[list[float]]:
        """The times of each singlestep, its ends included."""
        if spacing != "log_snr":
            every = spaced(self.process, spacing, 1.0, end, moves)
            firsts = [sum(self.orders[:i]) for i in range(len(self.orders))]
            return [every[i : i + n + 1] for i, n in zip(firsts, self.orders, strict=True)]
        outer = spaced(self.process, spacing, 1.0, end, len(self.orders))
        pairs = zip(outer[:-1], outer[1:], self.orders, strict=True)
        return [spaced(self.process, spacing, s, t, n) for s, t, n in pairs]

    def _jump(self, s: float, t: float) -> _Jump:
        log_s, log_t = self.process.log_alpha(s), self.process.log_alpha(t)
        h = half_log_snr(self.process, t) - half_log_snr(self.process, s)
        if self.expand == "noise":
            return _Jump(math.exp(log_t - log_s), sigma_of(log_t), h)
        return _Jump(sigma_of(log_t) / sigma_of(log_s), math.exp(log_t), -h)

    def _share(self, s: float, middle: float, t: float) -> float:
        """Which share of the step in lambda from s to t lies before `middle`."""
        start = half_log_snr(self.process, s)
        return (half_log_snr(self.process, middle) - start) / (
            half_log_snr(self.process, t) - start
        )

    def _singlestep(self, model: _Model, x: Tensor) -> Tensor:
        """The singlestep solvers of DPM-Solver, with derivatives from inside each step."""
        k = 0
        for times in self.inner:
            s, t = times[0], times[-1]
            whole = self._jump(s, t)
            m = model(x, k)
            result = whole.kept * x - whole.size * whole.phi(1) * m
            if len(times) >= 3:
                r1 = self._share(s, times[1], t)
                part = self._jump(s, times[1])
                m1 = model(part.kept * x - part.size * part.phi(1) * m, k + 1)
                if len(times) == 3:
                    result = result - (0.5 / r1) * whole.size * whole.phi(1) * (m1 - m)
                else:
                    r2 = self._share(s, times[2], t)
                    part = self._jump(s, times[2])
                    x2 = part.kept * x - part.size * part.phi(1) * m
                    x2 = x2 - (r2 / r1) * part.size * part.phi(2) * (m1 - m)
                    m2 = model(x2, k + 2)
                    result = result - (1.0 / r2) * whole.size * whole.phi(2) * (m2 - m)
            x = result
            k += len(times) - 1
        return x

    def _multistep(self, model: _Model, x: Tensor) -> Tensor:
        """The multistep solvers of DPM-Solver++, with derivatives from the steps before.

        With fewer than ten steps the last ones are of lower order, as the official code does.
        """
        known: list[Tensor] = []
        snr = [half_log_snr(self.process, t) for t in self.grid]
        for k in range(len(self.grid) - 1):
            known = [*known[-2:], model(x, k)]
            order = min(self.order, len(known))
            if self.steps < 10:
                order = min(order, self.steps - k)
            jump = self._jump(self.grid[k], self.grid[k + 1])
            h = snr[k + 1] - snr[k]
            m = known[-1]
            result = jump.kept * x - jump.size * jump.phi(1) * m
            if order >= 2:
                r0 = (snr[k] - snr[k - 1]) / h
                slope = (m - known[-2]) / r0
                if order == 2:
                    result = result - 0.5 * jump.size * jump.phi(1) * slope
                else:
                    r1 = (snr[k - 1] - snr[k - 2]) / h
                    before = (known[-2] - known[-3]) / r1
                    bend = (slope - before) / (r0 + r1)
                    slope = slope + r0 * bend
                    # bend is half of the second derivative, times h^2.
                    bend = bend if self.halve_curvature else 2.0 * bend
                    result = result - jump.size * (jump.phi(2) * slope + jump.phi(3) * bend)
            x = result
        return x


def _orders(steps: int, order: int) -> list[int]:
    """The order of each singlestep, such that all network calls are used (DPM-Solver-fast)."""
    whole, rest = divmod(steps, order)
    if order == 3 and rest == 0:
        return [3] * (whole - 1) + [2, 1]
    return [order] * whole + ([rest] if rest else [])
