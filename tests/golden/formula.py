"""Weights, batches and draws by formula, so that two implementations get the same numbers.

No generator is involved: every number is a function of a *role* (a string that says what the number
is for) and of its index in the flattened tensor. The mixing is integer arithmetic modulo the prime
p = 2**31 - 1, whose products fit in int64, so it gives the same bits on every machine:

    seed  = crc32(role) mod p
    x_k   = mix((48271 k + seed) mod p),   mix(x) = (40692 x^5 + seed)^5
    u_k   = (x_k + 1/2) / p                in the open interval (0, 1)

(x -> x^5 permutes the residues mod p.) Everything is float64. Tensors are filled in row-major
order, hence [1, B, A] and [B, A] hold the same numbers.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

_PRIME = 2**31 - 1


def _fifth_power(x: Tensor) -> Tensor:
    square = x * x % _PRIME
    return square * square % _PRIME * x % _PRIME


def uniform(role: str, shape: Sequence[int] = ()) -> Tensor:
    """Numbers spread evenly over the open interval (0, 1)."""
    seed = zlib.crc32(role.encode()) % _PRIME
    index = torch.arange(math.prod(shape), dtype=torch.int64)
    x = _fifth_power((48271 * index + seed) % _PRIME)
    x = _fifth_power((40692 * x + seed) % _PRIME)
    return ((x.to(torch.float64) + 0.5) / _PRIME).reshape(tuple(shape))


def normal(role: str, shape: Sequence[int] = ()) -> Tensor:
    """Standard normal quantiles of `uniform(role, shape)`."""
    quantiles: Tensor = torch.special.ndtri(uniform(role, shape))
    return quantiles


def timesteps(role: str, shape: Sequence[int], steps: int) -> Tensor:
    """Diffusion times 0 .. steps-1 as floor(uniform * steps), int64."""
    return (uniform(role, shape) * steps).floor().to(torch.int64)


def weight(role: str, shape: Sequence[int]) -> Tensor:
    """A parameter: a matrix [out, in] within sqrt(3 / in) (variance 1 / in), a bias within 0.1."""
    scale = math.sqrt(3.0 / shape[1]) if len(shape) == 2 else 0.1
    return scale * (2.0 * uniform(role, shape) - 1.0)


def linears(prefix: str, sizes: Sequence[int]) -> dict[str, Tensor]:
    """The parameters of consecutive linear layers: "{prefix}/0/weight" [sizes[1], sizes[0]],
    "{prefix}/0/bias", ..."""
    parameters = {}
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        parameters[f"{prefix}/{i}/weight"] = weight(f"{prefix}/{i}/weight", (fan_out, fan_in))
        parameters[f"{prefix}/{i}/bias"] = weight(f"{prefix}/{i}/bias", (fan_out,))
    return parameters


def mlp(part: str, sizes: Sequence[int]) -> dict[str, Tensor]:
    """The parameters of a plain network: "{part}/layers/{i}/weight", "{part}/layers/{i}/bias"."""
    return linears(f"{part}/layers", sizes)


def denoiser(
    part: str, observation_dim: int, action_dim: int, hidden: int = 256, time_dim: int = 16
) -> dict[str, Tensor]:
    """A denoiser's parameters: "{part}/time/{0,1}/..." and "{part}/layers/{0..3}/...".

    The first layer's columns are [noisy action, time embedding, observation], in this order.
    """
    width = action_dim + time_dim + observation_dim
    return linears(f"{part}/time", (time_dim, 2 * time_dim, time_dim)) | mlp(
        part, (width, hidden, hidden, hidden, action_dim)
    )


def batch(step: int, batch_size: int, observation_dim: int, action_dim: int) -> dict[str, Tensor]:
    """Transitions in the field's words; actions within 0.95, about a quarter of the rows terminate
    (1.0, else 0.0)."""
    role = f"batch/{step}"
    return {
        "observations": normal(f"{role}/observations", (batch_size, observation_dim)),
        "actions": 0.95 * (2.0 * uniform(f"{role}/actions", (batch_size, action_dim)) - 1.0),
        "rewards": normal(f"{role}/rewards", (batch_size,)),
        "next_observations": normal(f"{role}/next_observations", (batch_size, observation_dim)),
        "terminations": (uniform(f"{role}/terminations", (batch_size,)) < 0.25).to(torch.float64),
    }


def fingerprint(tensor: Tensor) -> dict[str, float]:
    """Two numbers that tell a tensor from another: its norm, and its product with a fixed
    direction in [-1, 1]."""
    value = tensor.detach().to(torch.float64)
    direction = 2.0 * uniform("probe", value.shape) - 1.0
    return {"norm": value.norm().item(), "probe": (value * direction).sum().item()}
