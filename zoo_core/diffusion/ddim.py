"""DDIM (arXiv:2010.02502): fewer steps, with adjustable stochasticity (eta)."""

import math

from torch import Tensor

from zoo_core.diffusion.prediction import Prediction
from zoo_core.diffusion.process import DiscreteProcess, Process, sigma_of
from zoo_core.diffusion.solver import Spacing
from zoo_core.diffusion.spacing import spaced, whole
from zoo_core.noise import Noise


class Ddim:
    """Equation 12 over K times; the last step gives the clean action.

    Spaced by the time, these are round(i T / K) / T of a process in T steps, and evenly spaced from
    1 towards the minimum of a continuous one. Otherwise they include the first time of training,
    and are whole steps of a process in steps.

    Args:
        process: Of the diffusion.
        steps: K, at most T for a process in steps. If None, T, or 100 of a continuous one.
        eta: From 0 (deterministic) to 1 (DDPM's variance).
        spacing: Quantity spaced uniformly over the steps.

    Raises:
        ValueError: more steps than the process has.
    """

    def __init__(
        self,
        process: Process,
        steps: int | None = None,
        eta: float = 0.0,
        spacing: Spacing = "cubic",
    ) -> None:
        self.times = _times(process, steps, spacing)
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


def _times(process: Process, steps: int | None, spacing: Spacing) -> list[float]:
    """The times at which the network is called."""
    if not isinstance(process, DiscreteProcess):
        count = 100 if steps is None else steps
        if spacing == "time":
            return spaced(process, spacing, 1.0, process.first, count)[:-1]
        return spaced(process, spacing, 1.0, process.first, count - 1)
    total = process.steps
    count = total if steps is None else steps
    if count > total:
        raise ValueError(f"ddim takes at most the {total} steps of training, not {count}")
    if spacing == "time":
        return [round(i * total / count) / total for i in range(count, 0, -1)]
    return whole(process, spaced(process, spacing, 1.0, process.first, count - 1))
