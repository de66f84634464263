"""The neural networks' building blocks: fast on one CPU core, right everywhere.

All of them run plainly, under `torch.func` (grad, vmap over stacked weights or over inputs) and
under `torch.no_grad`, draw no random numbers after construction, and have static shapes.

- `MLP`, `Ensemble`: whole networks, of one or several inputs that broadcast.
- `Denoiser`, `DenoiserResidual`, `DenoiserUNet`: networks of a diffusion over actions.
- `Linear`, `ConcatLinear`, `Mish`, `Dropout`: layers.
- `linear`, `mish`, `linear_mish`: the functions beneath them.
- `widths`: of hidden layers, as settings give them.
- `TimeEmbedding`, `SinusoidalEmbedding`, `RandomFourierFeatures`, `LearnedFourierFeatures`: of
  diffusion times.
- `betas`, `diffusion_coefficients`: noise schedules and what follows from them.
"""

from zoo_core.nn.concat_linear import ConcatLinear
from zoo_core.nn.denoiser import Denoiser
from zoo_core.nn.denoiser_residual import DenoiserResidual
from zoo_core.nn.denoiser_unet import DenoiserUNet
from zoo_core.nn.dropout import Dropout
from zoo_core.nn.ensemble import Ensemble
from zoo_core.nn.linear import Linear, linear
from zoo_core.nn.linear_mish import linear_mish
from zoo_core.nn.mish import Mish, mish
from zoo_core.nn.mlp import MLP, Activation, widths
from zoo_core.nn.noise_schedules import (
    DiffusionCoefficients,
    ScheduleName,
    betas,
    cosine_betas,
    diffusion_coefficients,
    linear_betas,
    vp_betas,
)
from zoo_core.nn.time_embedding import (
    LearnedFourierFeatures,
    RandomFourierFeatures,
    SinusoidalEmbedding,
    TimeEmbedding,
)

__all__ = [
    "MLP",
    "Activation",
    "ConcatLinear",
    "Denoiser",
    "DenoiserResidual",
    "DenoiserUNet",
    "DiffusionCoefficients",
    "Dropout",
    "Ensemble",
    "LearnedFourierFeatures",
    "Linear",
    "Mish",
    "RandomFourierFeatures",
    "ScheduleName",
    "SinusoidalEmbedding",
    "TimeEmbedding",
    "betas",
    "cosine_betas",
    "diffusion_coefficients",
    "linear",
    "linear_betas",
    "linear_mish",
    "mish",
    "vp_betas",
    "widths",
]
