"""Denoising diffusion over actions (DDPM, arXiv:2006.11239), as Diffusion-QL uses it.

Wang et al. 2023, arXiv:2208.06193: a chain of T steps with a linear, cosine or variance-preserving
schedule, a network that predicts the noise or the clean action, and clipped denoising. Gradients
flow through the whole chain.
"""

from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.nn import Denoiser, ScheduleName, betas, diffusion_coefficients
from zoo_core.noise import Noise
from zoo_core.specs import SamplerSpec


class DDPMConfig(Config):
    """Settings of the sampler `ddpm`."""

    steps: PositiveInt = 5
    """Denoising steps T."""
    schedule: ScheduleName = "vp"
    """Noise schedule: `linear`, `cosine` (arXiv:2102.09672) or `vp` (arXiv:2112.07804)."""
    predict: Literal["noise", "x0"] = "noise"
    """What the network predicts: the noise, or the clean action."""
    clip_denoised: bool = True
    """Whether the clean action is clipped to [-1, 1] in every step of the chain."""
    hidden: PositiveInt = 256
    """Width of each hidden layer."""
    layers: NonNegativeInt = 3
    """Number of hidden layers."""
    time_dim: PositiveInt = 16
    """Size of the time embedding; even."""
    reduction: Literal["mean", "sum"] = "mean"
    """How squared errors of action dimensions become one number."""


class DDPM(nn.Module):
    """Times t run from 0 (least noise) to T - 1; see the module's docstring for sources."""

    sqrt_alphas_cumprod: Tensor
    sqrt_one_minus_alphas_cumprod: Tensor

    def __init__(self, config: DDPMConfig, space: Space) -> None:
        super().__init__()
        self.config = config
        self.action_dim = space.action_dim
        self.denoiser = Denoiser(
            space.observation_dim,
            space.action_dim,
            hidden=config.hidden,
            layers=config.layers,
            time_dim=config.time_dim,
        )
        c = diffusion_coefficients(betas(config.schedule, config.steps))
        self.register_buffer("sqrt_alphas_cumprod", c.alphas_cumprod.sqrt())
        self.register_buffer("sqrt_one_minus_alphas_cumprod", (1 - c.alphas_cumprod).sqrt())
        # The chain's constants as numbers: the same for every seed, and exact in any precision.
        self.x0_from_x: list[float] = c.alphas_cumprod.rsqrt().tolist()
        self.x0_from_noise: list[float] = (1 / c.alphas_cumprod - 1).sqrt().tolist()
        self.mean_from_x0: list[float] = c.posterior_mean_x0.tolist()
        self.mean_from_x: list[float] = c.posterior_mean_x.tolist()
        self.posterior_std: list[float] = c.posterior_variance.clamp(min=1e-20).sqrt().tolist()

    def diffused(self, actions: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """q(x_t | x_0): actions [B, A] with noise [B, A] of the times t [B] (equation 4)."""
        kept = self.sqrt_alphas_cumprod.to(actions)[t][:, None]
        added = self.sqrt_one_minus_alphas_cumprod.to(actions)[t][:, None]
        return kept * actions + added * noise

    def clean(self, x: Tensor, output: Tensor, t: int) -> Tensor:
        """The estimate of x_0 from x_t [..., A] and the network's output at time t."""
        if self.config.predict == "noise":
            output = torch.sub(self.x0_from_x[t] * x, output, alpha=self.x0_from_noise[t])
        return output.clamp(-1.0, 1.0) if self.config.clip_denoised else output

    def posterior_mean(self, x0: Tensor, x: Tensor, t: int) -> Tensor:
        """The mean of q(x_{t-1} | x_t, x_0) (equation 7)."""
        return torch.add(self.mean_from_x0[t] * x0, x, alpha=self.mean_from_x[t])

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A]: the whole chain from pure noise (algorithm 2)."""
        x = noise.normal(n, observations.shape[0], self.action_dim)
        times = torch.arange(self.config.steps, device=observations.device)
        conditioned = self.denoiser.conditioned(observations, times)
        for t in reversed(range(self.config.steps)):
            x = self.posterior_mean(self.clean(x, conditioned(x, t), t), x, t)
            if t > 0:
                x = torch.add(x, noise.normal(*x.shape), alpha=self.posterior_std[t])
        return x.clamp(-1.0, 1.0)

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """The denoising error [B] at uniform times (algorithm 1, the simplified bound)."""
        t = noise.integers(self.config.steps, actions.shape[0])
        epsilon = noise.normal(*actions.shape)
        output: Tensor = self.denoiser(observations, self.diffused(actions, t, epsilon), t)
        aim = epsilon if self.config.predict == "noise" else actions
        error = (output - aim).square()
        return error.mean(-1) if self.config.reduction == "mean" else error.sum(-1)


SPEC = SamplerSpec("ddpm", DDPMConfig, DDPM, "Ho et al. 2020, arXiv:2006.11239; arXiv:2208.06193")
