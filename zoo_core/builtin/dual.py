"""A dual variable: one positive number, such as an entropy temperature or a Lagrange multiplier."""

import math

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.specs import CriticSpec


class DualConfig(Config):
    """Settings of the dual variable `dual`."""

    initial: PositiveFloat = 1.0
    """Initial value; it stays there if nothing trains it."""


class DualVariable(nn.Module):
    """exp of one parameter, so that it stays positive."""

    def __init__(self, config: DualConfig, space: Space) -> None:
        super().__init__()
        self.log_value = nn.Parameter(torch.tensor(math.log(config.initial)))

    def value(self) -> Tensor:
        """The variable, a scalar above 0."""
        return self.log_value.exp()

    def log(self) -> Tensor:
        """Its logarithm, a scalar: the parameter itself."""
        return self.log_value


SPEC = CriticSpec("dual", DualConfig, DualVariable, "Haarnoja et al. 2018, arXiv:1812.05905")
