"""The settings of `qgpo`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from zoo_core import AlgorithmConfig
from zoo_core.config import RewardRule

Scale = Annotated[float, Field(ge=0.0)]
"""Of the guidance; 0 is the behaviour."""


class QGPOConfig(AlgorithmConfig):
    """Settings of `qgpo`."""

    steps: PositiveInt = 1_600_000
    """Training steps: of the behaviour model, of critic and energy together, of the energy."""
    behaviour_share: float = Field(default=0.375, gt=0.0, lt=1.0)
    """The behaviour model's share of the steps, which come first."""
    critic_share: float = Field(default=0.3125, gt=0.0, lt=1.0)
    """The share of the steps that train critic and energy together; the rest train the energy."""
    batch_size: PositiveInt = 256
    """Transitions per step of critic and energy."""
    behaviour_batch_size: PositiveInt = 4096
    """Transitions per step of the behaviour model."""
    reward: RewardRule = "return_range"
    """How logged rewards are rescaled before training; the meaning of both betas depends on it."""
    lr: PositiveFloat = 1e-4
    """Learning rate of the behaviour model."""
    critic_lr: PositiveFloat = 3e-4
    """Learning rate of the critic."""
    energy_lr: PositiveFloat = 3e-4
    """Learning rate of the intermediate energy."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    tau: float = Field(default=0.005, gt=0.0, le=1.0)
    """Rate of the critic's average."""
    samples: PositiveInt = 16
    """Support actions drawn per stored observation, M."""
    half_support: bool = False
    """Whether support actions are kept in half precision, at half the space."""
    beta: PositiveFloat = 3.0
    """Inverse temperature of the policy: at scale 1 it is behaviour exp(beta Q)."""
    q_beta: PositiveFloat = 1.0
    """Inverse temperature of the softmax over the support in the critic's target."""
    method: Literal["cep", "mse", "emse"] = "cep"
    """How the energy is learnt: contrastive prediction, or regression to beta Q or exp(beta Q)."""
    scale: Scale = 3.0
    """Guidance scale of the headline act, fixed before any evaluation."""
    scales: tuple[Scale, ...] = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
    """Guidance scales of all acts; the headline's need not be among them."""
    held_out: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the episodes that the behaviour model does not see; its denoising error on them is
    reported as `behaviour/held_out`. 0 for none."""

    @model_validator(mode="after")
    def _a_step_for_each(self) -> "QGPOConfig":
        if self.behaviour_share + self.critic_share >= 1.0:
            raise ValueError("behaviour_share and critic_share must leave steps to the energy")
        if self.steps < 3:
            raise ValueError("steps must be at least 3, one for each stage")
        if len(set(self.scales)) != len(self.scales):
            raise ValueError("scales must differ from each other")
        return self

    def stage_steps(self) -> tuple[int, int, int]:
        """The steps of each stage, which sum to `steps`."""
        behaviour = min(max(round(self.behaviour_share * self.steps), 1), self.steps - 2)
        rest = self.steps - behaviour
        critic = min(max(round(self.critic_share * self.steps), 1), rest - 1)
        return behaviour, critic, rest - critic
