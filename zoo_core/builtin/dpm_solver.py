"""A denoiser in continuous time, or of DDPM's training, sampled by DPM-Solver.

Lu et al. 2022, arXiv:2206.00927 and arXiv:2211.01095.
"""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator
from typing_extensions import override

from zoo_core.diffusion import DiffusionConfig, DiffusionSampler, Solver
from zoo_core.diffusion.process import check_noised
from zoo_core.diffusion.solver import Spacing
from zoo_core.nn import ScheduleName
from zoo_core.specs import SamplerSpec


class DPMSolverConfig(DiffusionConfig):
    """Settings of the sampler `dpm_solver`."""

    schedule: ScheduleName | Literal["continuous"] = "continuous"
    """`continuous`: the linear variance-preserving SDE (arXiv:2011.13456) with times in (0, 1]; or
    a schedule in steps: `linear`, `cosine`, `vp`."""
    trained_steps: PositiveInt = 1000
    """Steps T of a schedule in steps; has no meaning in continuous time."""
    trained_from: float = Field(default=1e-3, gt=0.0, lt=1.0)
    """The minimum time of training in continuous time; has no meaning for a schedule in steps."""
    steps: PositiveInt = 15
    """Calls of the network for a sample. With an exact denoiser of a Gaussian of deviation 0.1 to
    0.6, that of samples is off by at most 7 % in 10 calls or more, and by at most 30 % in 5."""
    order: Literal[1, 2, 3] = 2
    """The order of the solver's error in the step."""
    method: Literal["singlestep", "multistep"] = "multistep"
    """Whether derivatives come from within a step or from the steps before."""
    expand: Literal["noise", "x0"] = "x0"
    """Quantity expanded along the path: the noise (DPM-Solver) or the clean action (DPM-Solver++).
    Singlesteps of the schedule `cosine` take the clean action: the noise's expansion diverges."""
    spacing: Spacing = "cubic"
    """Quantity spaced uniformly over the steps: the cube root of the time, log(alpha / sigma), or
    the time (with which 15 steps are far too few)."""
    end: float | None = Field(default=None, gt=0.0, lt=1.0)
    """The time at which the solver stops. Default: the minimum time of training."""
    denoise_to_zero: bool | None = None
    """Whether the last call of the network gives the clean action at `end`. If None, where `end` is
    not set and a noise of more than 0.02 would be left there, as with few `trained_steps`."""
    halve_curvature: bool = False
    """Multistep of order 3: whether the second derivative's term is halved, as in the authors'
    code, whose error then falls with the second order only."""
    clip_denoised: bool = False
    """Whether the clean action is clipped to [-1, 1] in every step."""
    clip: bool = True
    """Whether a sample is clipped to [-1, 1] at the end."""

    @model_validator(mode="after")
    def _enough_steps(self) -> "DPMSolverConfig":
        self.solver()
        if self.schedule != "continuous":
            if self.trained_steps < 2:
                raise ValueError(
                    "trained_steps must be at least 2, one to start from and one to end at"
                )
            check_noised(self.schedule, self.trained_steps)
            if self.end is not None and self.end < 1.0 / self.trained_steps:
                raise ValueError(
                    f"end must not lie before the first step's time, 1 / {self.trained_steps}"
                )
        elif self.end is not None and self.end < self.trained_from:
            raise ValueError(
                f"end must not lie before trained_from, {self.trained_from:g} (got {self.end:g})"
            )
        return self

    @override
    def schedule_and_steps(self) -> tuple[ScheduleName | Literal["continuous"], int]:
        return self.schedule, self.trained_steps

    @override
    def least_time(self) -> float:
        return self.trained_from

    @override
    def solver(self) -> Solver:
        return Solver(
            name="dpm_solver",
            steps=self.steps,
            order=self.order,
            method=self.method,
            expand=self.expand,
            spacing=self.spacing,
            end=self.end,
            denoise_to_zero=self.denoise_to_zero,
            halve_curvature=self.halve_curvature,
            clip=self.clip,
        )

    @override
    def clips(self) -> bool:
        return self.clip_denoised


SPEC = SamplerSpec(
    "dpm_solver", DPMSolverConfig, DiffusionSampler, "Lu et al. 2022, arXiv:2206.00927"
)
