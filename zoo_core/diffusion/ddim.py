"""DDIM (arXiv:2010.02502): fewer steps, as random as one likes."""

import math

from torch import Tensor

from zoo_core.diffusion.prediction import Prediction
from zoo_core.diffusion.process import DiscreteProcess, Process, sigma_of
from zoo_core.noise import Noise


class Ddim:
    """Equation 12 over evenly spaced times; the last step gives the clean action.

    Of a process in T steps it visits round(i T / K) - 1 for i = 1 .. K, of a continuous one
    evenly spaced times from 1 to the least.

    Args:
        process: Of the diffusion.
        steps: K, at most T for a process in steps; none for T, or 100 of a continuous one.
        eta: From 0 (deterministic) to 1 (DDPM's variance).

    Raises:
        ValueError: more steps than the process has.
    """

    def __init__(self, process: Process, steps: int | None = None, eta: float = 0.0) -> None:
        if isinstance(process, DiscreteProcess):
            total = process.steps
            count = total if steps is None else steps
            if count > total:
                raise ValueError(f"ddim takes at most the {total} steps of training, not {count}")
            self.times = [round(i * total / count) / total for i in range(count, 0, -1)]
        else:
            count = 100 if steps is None else steps
            first = process.first
            self.times = [1.0 + (first - 1.0) * i / count for i in range(count)]
        log_alphas = [process.log_alpha(t) for t in self.times]
        alphas = [math.exp(a) for a in log_alphas] + [1.0]
        sigmas = [sigma_of(a) for a in log_alphas] + [0.0]
        self.alphas_next, self.sigmas_next = alphas[1:], sigmas[1:]
        self.random: list[float] = [
            eta * (after / sigma) * math.sqrt(max(1.0 - (alpha / alpha_after) ** 2, 0.0))
            for alpha, sigma, alpha_after, after in zip(
                alphas[:-1], sigmas[:-1], alphas[1:], sigmas[1:], strict=True
            )
        ]

    def solve(self, prediction: Prediction, x: Tensor, noise: Noise) -> Tensor:
        """A sample [..., A] from pure noise x [..., A]."""
        for k, spread in enumerate(self.random):
            x0 = prediction.clean(x, k)
            epsilon = (x - prediction.alphas[k] * x0) / prediction.sigmas[k]
            kept = math.sqrt(max(self.sigmas_next[k] ** 2 - spread**2, 0.0))
            x = self.alphas_next[k] * x0 + kept * epsilon
            if spread > 0.0:
                x = x + spread * noise.normal(*x.shape)
        return x
