"""Denoising diffusion over actions (DDPM, arXiv:2006.11239), as Diffusion-QL uses it.

Wang et al. 2023, arXiv:2208.06193: a chain of T steps with a linear, cosine or variance-preserving
schedule, a network that predicts the noise or the clean action, and clipped denoising. Gradients
flow through the whole chain.
"""

from typing import Literal

from pydantic import PositiveInt
from typing_extensions import override

from zoo_core.diffusion import DiffusionConfig, DiffusionSampler, Solver
from zoo_core.nn import ScheduleName
from zoo_core.specs import SamplerSpec


class DDPMConfig(DiffusionConfig):
    """Settings of the sampler `ddpm`."""

    steps: PositiveInt = 20
    """Denoising steps T. With an exact denoiser of a Gaussian of deviation 0.3, that of samples is
    0.32 in 20 steps and 0.22 in the 5 that Diffusion-QL and IDQL have (0.14 with Diffusion-QL's
    posterior variance)."""
    schedule: ScheduleName = "vp"
    """Noise schedule: `vp` (arXiv:2112.07804), `cosine` (arXiv:2102.09672), or `linear`, which
    needs about 500 steps: in fewer its last one is not pure noise, from which samples start."""
    clip_denoised: bool = True
    """Whether the clean action is clipped to [-1, 1] in every step of the chain."""
    clip_noised: bool = False
    """Whether the noised action is clipped to [-1, 1] after every step of the chain."""
    variance: Literal["posterior", "beta"] = "beta"
    """Variance of the noise added in a step: beta, or the posterior's (DDPM, section 3.2), with
    which samples of a short chain are too narrow."""

    @override
    def schedule_and_steps(self) -> tuple[ScheduleName, int]:
        return self.schedule, self.steps

    @override
    def solver(self) -> Solver:
        return Solver(name="ddpm", variance=self.variance, clip_noised=self.clip_noised)

    @override
    def clips(self) -> bool:
        return self.clip_denoised


SPEC = SamplerSpec(
    "ddpm", DDPMConfig, DiffusionSampler, "Ho et al. 2020, arXiv:2006.11239; arXiv:2208.06193"
)
