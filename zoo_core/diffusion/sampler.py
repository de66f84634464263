"""A sampler that denoises: one trained denoiser, its process, and the solver that it samples by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.diffusion.ddim import Ddim
from zoo_core.diffusion.ddpm import Ddpm
from zoo_core.diffusion.dpm_solver import DpmSolver
from zoo_core.diffusion.prediction import Energy, Prediction
from zoo_core.diffusion.process import ContinuousProcess, DiscreteProcess
from zoo_core.diffusion.solver import Solver
from zoo_core.nn import (
    Activation,
    Denoiser,
    DenoiserResidual,
    DenoiserUNet,
    LearnedFourierFeatures,
    RandomFourierFeatures,
    ScheduleName,
    betas,
)
from zoo_core.noise import Noise

FREQUENCY = 30.0
"""Standard deviation of the frequencies of Fourier features of a time in (0, 1] (SfBC, QGPO)."""
PER_STEP = 0.1
"""The largest such deviation per step of a process in steps: a solver calls the network between
two steps, where it was never trained, and features of higher frequency have nothing to do there
with those of the steps next to it."""
LEARNED_PER_STEP = 0.2
"""The same for learned features (IDQL, which calls its network at its five steps alone)."""


class DiffusionConfig(Config):
    """Settings of the denoiser, which all diffusion samplers share."""

    predict: Literal["noise", "x0"] = "noise"
    """What the network predicts: the noise, or the clean action."""
    network: Literal["mlp", "residual", "unet"] = "mlp"
    """`mlp`, IDQL's residual blocks with layer norm (`residual`), or SfBC's residual network of
    shrinking and growing layers (`unet`)."""
    hidden: PositiveInt = 256
    """Width of each hidden layer or residual block; of the widest layer in `unet`."""
    layers: NonNegativeInt = 3
    """Number of hidden layers or residual blocks; has no meaning in `unet`."""
    activation: Activation = "mish"
    """Between the layers; has no meaning in `unet`."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Rate in each block of `residual`, in training alone; the others drop nothing out."""
    time_dim: PositiveInt = 16
    """Size of the time embedding; even."""
    reduction: Literal["mean", "sum"] = "mean"
    """How squared errors of action dimensions become one number."""

    @model_validator(mode="after")
    def _fits_the_network(self) -> DiffusionConfig:
        if self.dropout > 0.0 and self.network != "residual":
            raise ValueError("dropout needs the network 'residual'")
        if self.network == "unet" and self.hidden % 4:
            raise ValueError(f"hidden must be a multiple of 4 in 'unet' (got {self.hidden})")
        if self.time_dim % 2:
            raise ValueError(f"time_dim must be even (got {self.time_dim})")
        return self

    def schedule_and_steps(self) -> tuple[ScheduleName | Literal["continuous"], int]:
        """The noise schedule, and the steps T that it was trained with (0 if continuous)."""
        raise NotImplementedError

    def time_features(self, size: int) -> nn.Module | None:
        """The embedding of the network's times. If None, the sinusoidal one of `mlp`."""
        schedule, steps = self.schedule_and_steps()
        if schedule == "continuous" or self.network == "unet":
            return self.fourier_features(size)
        if self.network == "residual":
            return LearnedFourierFeatures(size, min(FREQUENCY / steps, LEARNED_PER_STEP))
        return None

    def fourier_features(self, size: int) -> nn.Module:
        """Random Fourier features of the network's times: t, or the steps 0 .. T - 1."""
        schedule, steps = self.schedule_and_steps()
        if schedule == "continuous":
            return RandomFourierFeatures(size, FREQUENCY)
        return RandomFourierFeatures(size, min(FREQUENCY / steps, PER_STEP))

    def least_time(self) -> float:
        """The minimum time of training of a continuous process."""
        return 1e-3

    def solver(self) -> Solver:
        """How the sampler samples."""
        raise NotImplementedError

    def clips(self) -> bool:
        """Whether predicted clean actions are clipped to [-1, 1] on the way."""
        raise NotImplementedError


class DiffusionSampler(nn.Module):
    """A diffusion over actions: cloned by denoising, sampled by a solver.

    Samplers of the same network and process share their parameters' names whatever their solver,
    so that a denoiser trained as one loads into another.

    Attributes:
        own_solver: The solver of the sampler's settings.
    """

    def __init__(self, config: DiffusionConfig, space: Space) -> None:
        super().__init__()
        self.config = config
        self.action_dim = space.action_dim
        schedule, steps = config.schedule_and_steps()
        times = config.time_features(config.time_dim)
        sizes = (space.observation_dim, space.action_dim)
        self.denoiser: Denoiser | DenoiserResidual | DenoiserUNet
        if config.network == "unet":
            self.denoiser = DenoiserUNet(*sizes, config.hidden, config.time_dim, times)
        elif config.network == "residual":
            self.denoiser = DenoiserResidual(
                *sizes,
                hidden=config.hidden,
                blocks=config.layers,
                activation=config.activation,
                dropout=config.dropout,
                time_dim=config.time_dim,
                time_embedding=times,
            )
        else:
            self.denoiser = Denoiser(
                *sizes,
                hidden=config.hidden,
                layers=config.layers,
                activation=config.activation,
                time_dim=config.time_dim,
                time_embedding=times,
            )
        self._solvers: dict[Solver, Ddpm | Ddim | DpmSolver] = {}
        self.process: DiscreteProcess | ContinuousProcess
        if schedule == "continuous":
            self.process = ContinuousProcess(first=config.least_time())
        else:
            self.process = DiscreteProcess(betas(schedule, steps))
        self.own_solver = self.solver(config.solver())

    def solver(self, solver: Solver) -> Ddpm | Ddim | DpmSolver:
        """What the description means for this process.

        Raises:
            ValueError: `ddpm` for a continuous process, more steps than trained, or an expansion
                that diverges.
        """
        # Acting calls this in every step of an episode.
        if solver not in self._solvers:
            self._solvers[solver] = self._made(solver)
        return self._solvers[solver]

    def _made(self, solver: Solver) -> Ddpm | Ddim | DpmSolver:
        if solver.name == "dpm_solver":
            return DpmSolver(self.process, solver)
        if solver.name == "ddim":
            return Ddim(self.process, solver.steps, solver.eta, solver.spacing)
        if isinstance(self.process, ContinuousProcess):
            raise ValueError("ddpm needs a process in steps; take ddim or dpm_solver")
        return Ddpm(self.process, solver)

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A] for observations [B, O], by the sampler's own solver."""
        actions = self._solved(self.own_solver, observations, noise, n)
        return actions.clamp(-1.0, 1.0) if self.config.solver().clip else actions

    def sample_with(self, solver: Solver, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A] for observations [B, O], by another solver."""
        actions = self._solved(self.solver(solver), observations, noise, n)
        return actions.clamp(-1.0, 1.0) if solver.clip else actions

    def sample_guided(
        self,
        observations: Tensor,
        noise: Noise,
        n: int,
        energy: Callable[[Tensor, Tensor], Energy],
        scale: float,
    ) -> Tensor:
        """Actions [n, B, A] from the denoiser's score plus `scale` times the gradient of
        `energy(observations [B, O], times [K])(actions [n, B, A], k) -> [n, B]`."""
        actions = self._solved(self.own_solver, observations, noise, n, energy, scale)
        return actions.clamp(-1.0, 1.0) if self.config.solver().clip else actions

    def _solved(
        self,
        solver: Ddpm | Ddim | DpmSolver,
        observations: Tensor,
        noise: Noise,
        n: int,
        energy: Callable[[Tensor, Tensor], Energy] | None = None,
        scale: float = 0.0,
    ) -> Tensor:
        x = noise.normal(n, observations.shape[0], self.action_dim)
        visited = [self.process.network_time(t) for t in solver.times]
        times = torch.tensor(visited, dtype=x.dtype, device=x.device)
        prediction = Prediction(
            self.process,
            solver.times,
            self.denoiser.conditioned(observations, times),
            self.config.predict,
            self.config.clips(),
            None if energy is None else energy(observations, times),
            scale,
        )
        return solver.solve(prediction, x, noise)

    def diffused(self, actions: Tensor, times: Tensor, epsilon: Tensor) -> Tensor:
        """q(x_t | x_0): actions [..., A] with noise [..., A] of the network times [...]
        (DDPM, equation 4)."""
        alpha, sigma = self.process.coefficients(times, actions)
        return alpha[..., None] * actions + sigma[..., None] * epsilon

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """The denoising error [B] at uniform times (DDPM, algorithm 1, the simplified bound)."""
        times = self.process.draw(noise, actions.shape[0])
        epsilon = noise.normal(*actions.shape)
        x = self.diffused(actions, times, epsilon)
        output = self._output(observations, x, times, noise)
        return self._error(output, actions, epsilon)

    def reconstruct(
        self, observations: Tensor, actions: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """From one call of the denoiser: the estimate of the clean action [B, A] at a uniform
        time, and the denoising error [B] (EDP, arXiv:2305.20081)."""
        times = self.process.draw(noise, actions.shape[0])
        epsilon = noise.normal(*actions.shape)
        alpha, sigma = (c[..., None] for c in self.process.coefficients(times, actions))
        x = alpha * actions + sigma * epsilon
        output = self._output(observations, x, times, noise)
        x0 = output if self.config.predict == "x0" else (x - sigma * output) / alpha
        clipped = x0.clamp(-1.0, 1.0) if self.config.clips() else x0
        return clipped, self._error(output, actions, epsilon)

    def _output(self, observations: Tensor, x: Tensor, times: Tensor, noise: Noise) -> Tensor:
        """The denoiser's [B, A] in training, with dropout where there is some."""
        masks = (noise,) if self.config.dropout > 0.0 else ()
        output: Tensor = self.denoiser(observations, x, times, *masks)
        return output

    def _error(self, output: Tensor, actions: Tensor, epsilon: Tensor) -> Tensor:
        aim = epsilon if self.config.predict == "noise" else actions
        error = (output - aim).square()
        return error.mean(-1) if self.config.reduction == "mean" else error.sum(-1)
