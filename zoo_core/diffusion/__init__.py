"""Diffusion over actions: processes, what a denoiser predicts in them, and solvers.

- `DiscreteProcess`, `ContinuousProcess`: how noise grows with time.
- `Prediction`: a denoiser's estimates at the times that a solver visits, guided or not.
- `Ddpm`, `Ddim`, `DpmSolver`: solvers, which turn noise into a sample; `Solver` describes one.
- `DiffusionSampler`: a denoiser, its process and the solver that it samples by.
"""

from zoo_core.diffusion.ddim import Ddim
from zoo_core.diffusion.ddpm import Ddpm
from zoo_core.diffusion.dpm_solver import DpmSolver
from zoo_core.diffusion.prediction import Prediction
from zoo_core.diffusion.process import ContinuousProcess, DiscreteProcess, Process
from zoo_core.diffusion.sampler import DiffusionConfig, DiffusionSampler
from zoo_core.diffusion.solver import Solver

__all__ = [
    "ContinuousProcess",
    "Ddim",
    "Ddpm",
    "DiffusionConfig",
    "DiffusionSampler",
    "DiscreteProcess",
    "DpmSolver",
    "Prediction",
    "Process",
    "Solver",
]
