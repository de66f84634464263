"""What a denoiser says of a noised action at the times that a solver visits."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from zoo_core.diffusion.process import Process, sigma_of
from zoo_core.nn.autograd import transformed

Network = Callable[[Tensor, int], Tensor]
"""Noised actions [..., A] and a position among the visited times -> the network's output."""

Energy = Callable[[Tensor, int], Tensor]
"""Noised actions [..., A] and a position among the visited times -> log-density ratios [...]."""


class Prediction:
    """Estimates of the clean action and of the noise, each from the other where needed.

    Args:
        process: Of the diffusion.
        times: Those that the solver visits, t in (0, 1].
        network: Its output by position in `times`.
        predict: What the network predicts.
        clip: Whether the clean action is clipped to [-1, 1].
        energy: Guides the sample: the noise becomes epsilon - scale sigma_t grad energy (QGPO,
            arXiv:2304.12824).
        scale: Of the guidance.
    """

    def __init__(
        self,
        process: Process,
        times: Sequence[float],
        network: Network,
        predict: Literal["noise", "x0"] = "noise",
        clip: bool = False,
        energy: Energy | None = None,
        scale: float = 1.0,
    ) -> None:
        log_alphas = [process.log_alpha(t) for t in times]
        self.alphas = [math.exp(a) for a in log_alphas]
        self.sigmas = [sigma_of(a) for a in log_alphas]
        self.network, self.predict, self.clip = network, predict, clip
        self.energy, self.scale = energy, scale

    def clean(self, x: Tensor, k: int) -> Tensor:
        """The estimate of x_0 [..., A] from x_t [..., A] at the k-th time."""
        output = self.network(x, k)
        if self.energy is None and self.predict == "x0":
            return output.clamp(-1.0, 1.0) if self.clip else output
        return self._clean(x, self._guided(x, output, k), k)

    def noise(self, x: Tensor, k: int) -> Tensor:
        """The estimate of epsilon [..., A] from x_t [..., A] at the k-th time."""
        if self.predict == "noise" and not self.clip:
            return self._guided(x, self.network(x, k), k)
        return (x - self.alphas[k] * self.clean(x, k)) / self.sigmas[k]

    def _clean(self, x: Tensor, epsilon: Tensor, k: int) -> Tensor:
        x0 = torch.sub(x / self.alphas[k], epsilon, alpha=self.sigmas[k] / self.alphas[k])
        return x0.clamp(-1.0, 1.0) if self.clip else x0

    def _guided(self, x: Tensor, output: Tensor, k: int) -> Tensor:
        """The noise, moved along the energy's gradient where there is one."""
        epsilon = output
        if self.predict == "x0":
            epsilon = (x - self.alphas[k] * output) / self.sigmas[k]
        energy = self.energy
        if energy is None or self.scale == 0.0:
            return epsilon
        gradient = _gradient(lambda at: energy(at, k).sum(), x)
        return torch.sub(epsilon, gradient, alpha=self.scale * self.sigmas[k])


def _gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of f [...] -> [] at x; differentiable where gradients are on."""
    if transformed():
        result: Tensor = torch.func.grad(f)(x)
        return result
    # Half the time of `torch.func.grad` at the sizes of acting.
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        at = x if x.requires_grad else x.detach().requires_grad_()
        return torch.autograd.grad(f(at), at, create_graph=differentiable)[0]
