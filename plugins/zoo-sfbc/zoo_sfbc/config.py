"""The settings of `sfbc`."""

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from zoo_core import AlgorithmConfig


class SfBCConfig(AlgorithmConfig):
    """Settings of `sfbc`."""

    steps: PositiveInt = 635_000
    """Training steps: of the behaviour model, then of all rounds of the critic."""
    behaviour_share: float = Field(default=0.923, gt=0.0, lt=1.0)
    """The behaviour model's share of the steps; the rounds have equal shares of the rest."""
    batch_size: PositiveInt = 4096
    """Transitions per step."""
    lr: PositiveFloat = 1e-4
    """Learning rate of the behaviour model."""
    critic_lr: PositiveFloat = 1e-3
    """Learning rate of the critic."""
    rounds: PositiveInt = 2
    """Rounds K of value iteration, of which the first learns the discounted returns."""
    discount: float = Field(default=0.99, ge=0.0, le=1.0)
    """Discount factor gamma."""
    alpha: PositiveFloat = 20.0
    """Inverse temperature of the softmax over Q that makes a value of the drawn actions."""
    samples: PositiveInt = 16
    """Actions M drawn per stored observation for its value."""
    normalize_returns: bool = True
    """Whether the critic learns values of zero mean and unit deviation, on which alpha depends."""
    floor: bool = False
    """Whether what Q(s, a) learns is at least V(s), as in the official code."""
    bootstrap_truncations: bool = True
    """Whether a truncated episode goes on with the value of its last observation when planning."""

    @model_validator(mode="after")
    def _a_step_for_each(self) -> "SfBCConfig":
        if self.steps < self.rounds + 1:
            raise ValueError(f"steps must be at least {self.rounds + 1}, one for each stage")
        return self
