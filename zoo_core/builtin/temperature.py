"""Dual descent of the entropy temperature towards a target entropy."""

from typing import Literal

import torch
from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Dual, HasLogProb
from zoo_core.specs import Loss, LossSpec, Metrics


class TemperatureConfig(Config):
    """Settings of the loss `temperature`."""

    target_entropy: float | None = None
    """The entropy that the policy should keep. Default: -A, with A action dimensions."""
    factor: Literal["log", "value"] = "log"
    """What the constraint is multiplied by: log(temperature), as the authors' code and rlkit have
    it, or the temperature, as in equation 18."""


def build(config: TemperatureConfig) -> Loss:
    """The loss; the policy is a constant in it."""

    def temperature(context: Context) -> tuple[Tensor, Metrics]:
        batch = context.batch
        sampler: HasLogProb = context.part("sampler")
        dual: Dual = context.part("temperature")
        target = config.target_entropy
        if target is None:
            target = -float(batch.actions.shape[-1])
        with torch.no_grad():
            _, log_prob = sampler.sample_log_prob(batch.observations, context.noise)
            excess = -log_prob.mean() - target
        factor = dual.log() if config.factor == "log" else dual.value()
        return factor * excess, {"value": dual.value(), "entropy": -log_prob.mean()}

    return temperature


SPEC = LossSpec(
    name="temperature",
    config=TemperatureConfig,
    build=build,
    reads={"sampler": (HasLogProb,), "temperature": (Dual,)},
    minimises="log(temperature) (E_D[-log pi(a | s)] - target entropy), a ~ pi",
    cite="Haarnoja et al. 2018, arXiv:1812.05905, equation 18",
)
