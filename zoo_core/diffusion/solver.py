"""The description of a solver: how a trained denoiser is sampled."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from zoo_core.config import Config

Name = Literal["ddpm", "ddim", "dpm_solver"]
Spacing = Literal["cubic", "log_snr", "time"]
"""Quantity spaced uniformly over a solver's steps: the cube root of the time, log(alpha / sigma),
or the time. Cubic times are close together near the action, where few steps err most."""


class Solver(Config):
    """How noise becomes a sample of a trained denoiser; which fields count depends on `name`."""

    name: Name = "ddpm"
    """`ddpm` (arXiv:2006.11239), `ddim` (arXiv:2010.02502), `dpm_solver` (arXiv:2206.00927)."""
    steps: PositiveInt | None = None
    """Calls of the network; none for 15 of `dpm_solver`, and for as many of `ddim` as the process
    has steps (100 in continuous time). `ddpm` visits all steps, whatever this says."""
    variance: Literal["posterior", "beta"] = "beta"
    """`ddpm`: variance of the noise added in a step: beta, or the posterior's (DDPM, section 3.2),
    with which samples of a short chain are too narrow."""
    clip_noised: bool = False
    """`ddpm`: whether the noised action is clipped to [-1, 1] after each step (IDQL's code)."""
    eta: float = Field(default=0.0, ge=0.0, le=1.0)
    """`ddim`: how random it is, from 0 (an ODE) to 1 (as random as DDPM)."""
    order: Literal[1, 2, 3] = 2
    """`dpm_solver`: the order of its error in the step."""
    method: Literal["singlestep", "multistep"] = "multistep"
    """`dpm_solver`: whether derivatives come from within a step or from the steps before."""
    expand: Literal["noise", "x0"] = "x0"
    """`dpm_solver`: quantity expanded along the path: the predicted noise (DPM-Solver) or the clean
    action (DPM-Solver++, arXiv:2211.01095)."""
    spacing: Spacing = "cubic"
    """`ddim`, `dpm_solver`: quantity spaced uniformly over the steps: the cube root of the time,
    log(alpha / sigma), or the time."""
    end: float | None = Field(default=None, gt=0.0, lt=1.0)
    """`dpm_solver`: the time at which it stops. Default: the minimum time of training."""
    denoise_to_zero: bool | None = None
    """`dpm_solver`: whether the last call of the network gives the clean action at `end`. If None,
    where `end` is not set and a noise of more than 0.02 would be left there, as in a short chain
    of steps; the authors' code asks for one call more."""
    halve_curvature: bool = False
    """`dpm_solver`, multistep of order 3: whether the second derivative's term is halved, as in the
    authors' code, whose error then falls with the second order only."""
    clip: bool = True
    """Whether a sample is clipped to [-1, 1] at the end."""

    @model_validator(mode="after")
    def _enough_steps(self) -> "Solver":
        if self.name == "dpm_solver" and self.steps is not None and self.steps < self.order:
            raise ValueError(f"steps must be at least the order, {self.order} (got {self.steps})")
        return self
