"""Five densities in the plane with an energy each, on which guided sampling can be checked.

The shapes and energies are those of the paper's toy experiments (Lu et al. 2023, arXiv:2304.12824,
section 5.1 and its code), divided by 4.5 so that they lie in [-1, 1]^2. The energy is a function of
the point alone: the index of the nearest mode, arc or ring where the paper has that of the draw.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

SIZE = 4.5
"""What the paper's coordinates are divided by."""


@dataclass(frozen=True)
class Density:
    """A density p(x) that can be drawn from, and an energy E(x)."""

    draw: Callable[[int, Generator], Tensor]
    """A number of points and a generator to points [n, 2], in the paper's coordinates."""
    measure: Callable[[Tensor], Tensor]
    """Points [..., 2] in those coordinates to energies [...]."""

    def sample(self, count: int, generator: Generator) -> Tensor:
        """Points [count, 2] of p, in [-1, 1]."""
        return (self.draw(count, generator) / SIZE).clamp(-1.0, 1.0)

    def energy(self, points: Tensor) -> Tensor:
        """E [...] of points [..., 2]; large is good."""
        return self.measure(SIZE * points)

    def sample_tilted(
        self, count: int, beta: float, generator: Generator, pool: int = 50
    ) -> Tensor:
        """Points [count, 2] of p(x) exp(beta E(x)): draws of p, resampled by their weight.

        Args:
            count: How many.
            beta: Inverse temperature.
            generator: What is drawn from.
            pool: Draws of p for every point.
        """
        points = self.sample(pool * count, generator)
        weights = (beta * self.energy(points)).softmax(0)
        return points[torch.multinomial(weights, count, True, generator=generator)]


def _normal(count: int, generator: Generator) -> Tensor:
    return torch.randn(count, 2, generator=generator)


def _uniform(count: int, generator: Generator) -> Tensor:
    return torch.rand(count, generator=generator)


def _polar(radius: Tensor | float, angle: Tensor) -> Tensor:
    return torch.stack((radius * angle.cos(), radius * angle.sin()), -1)


# Eight Gaussians on a circle; the energy rises from 0 at the top to 1, counterclockwise.
_CENTRES = _polar(4.0 / math.sqrt(2.0), math.pi * (0.5 + torch.arange(8) / 4))


def _gaussians(count: int, generator: Generator) -> Tensor:
    mode = torch.randint(8, (count,), generator=generator)
    return _CENTRES[mode] + _normal(count, generator) * 0.5 / math.sqrt(2.0)


def _gaussians_energy(points: Tensor) -> Tensor:
    distances = (points[..., None, :] - _CENTRES.to(points)).square().sum(-1)
    return distances.argmin(-1).to(points) / 7.0


# A spiral; the energy rises with the square of the radius.
def _swiss_roll(count: int, generator: Generator) -> Tensor:
    angle = 1.5 * math.pi * (1.0 + 2.0 * _uniform(count, generator))
    return (_polar(angle, angle) + _normal(count, generator)) / 5.0


def _swiss_roll_energy(points: Tensor) -> Tensor:
    return points.square().sum(-1) / 9.0


# Two half circles; the energy is 1 on the lower one.
def _moons(count: int, generator: Generator) -> Tensor:
    upper = _polar(1.0, math.pi * _uniform(count, generator))
    lower = torch.tensor([1.0, 0.5]) - upper
    flipped = torch.where(_uniform(count, generator)[:, None] < 0.5, upper, lower)
    return 2.0 * (flipped + 0.1 * _normal(count, generator)) - torch.tensor([1.0, 0.2])


def _moons_energy(points: Tensor) -> Tensor:
    upper = (points + points.new_tensor([1.0, 0.2])) / 2.0
    lower = points.new_tensor([1.0, 0.5]) - upper
    return (_to_arc(lower) < _to_arc(upper)).to(points)


def _to_arc(points: Tensor) -> Tensor:
    """The distance to the upper half of the unit circle."""
    x, y = points[..., 0], points[..., 1]
    return torch.where(y >= 0.0, (points.norm(dim=-1) - 1.0).abs(), torch.hypot(x.abs() - 1.0, y))


# Eight squares; the energy is 1 in the first and third of four columns.
def _checkerboard(count: int, generator: Generator) -> Tensor:
    x = 4.0 * _uniform(count, generator) - 2.0
    row = 2.0 * torch.randint(2, (count,), generator=generator)
    y = _uniform(count, generator) - row + x.floor() % 2
    return 2.0 * torch.stack((x, y), -1)


def _checkerboard_energy(points: Tensor) -> Tensor:
    return (torch.div(points[..., 0], 2.0, rounding_mode="floor") % 2 == 0).to(points)


# Four rings with energies of their own, from the innermost.
_RADII = torch.tensor([0.75, 1.5, 2.25, 3.0])
_RING_ENERGIES = torch.tensor([0.0, 1.0, 0.333, 0.667])


def _rings(count: int, generator: Generator) -> Tensor:
    ring = torch.randint(4, (count,), generator=generator)
    angle = 2.0 * math.pi * _uniform(count, generator)
    return _polar(_RADII[ring], angle) + 0.08 * _normal(count, generator)


def _rings_energy(points: Tensor) -> Tensor:
    radius = points.square().sum(-1, keepdim=True).sqrt()
    gaps = (radius - _RADII.to(points)).abs()
    return _RING_ENERGIES.to(points)[gaps.argmin(-1)]


DENSITIES = {
    "8gaussians": Density(_gaussians, _gaussians_energy),
    "swissroll": Density(_swiss_roll, _swiss_roll_energy),
    "moons": Density(_moons, _moons_energy),
    "checkerboard": Density(_checkerboard, _checkerboard_energy),
    "rings": Density(_rings, _rings_energy),
}
"""By the paper's names."""
