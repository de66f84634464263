"""The policy's entropy, weighed by the temperature."""

from torch import Tensor

from zoo_core.config import Config
from zoo_core.context import Context
from zoo_core.protocols import Dual, HasLogProb
from zoo_core.specs import Loss, LossSpec, Metrics


class EntropyConfig(Config):
    """Settings of the loss `entropy`: none."""


def build(config: EntropyConfig) -> Loss:
    """The loss."""

    def entropy(context: Context) -> tuple[Tensor, Metrics]:
        sampler: HasLogProb = context.part("sampler")
        temperature: Dual = context.part("temperature")
        _, log_prob = sampler.sample_log_prob(context.batch.observations, context.noise)
        loss = temperature.value().detach() * log_prob.mean()
        return loss, {"log_prob": log_prob.mean()}

    return entropy


SPEC = LossSpec(
    name="entropy",
    config=EntropyConfig,
    build=build,
    reads={"sampler": (HasLogProb,), "temperature": (Dual,)},
    minimises="temperature E_D[log pi(a | s)], a ~ pi",
    cite="Haarnoja et al. 2018, arXiv:1812.05905",
)
