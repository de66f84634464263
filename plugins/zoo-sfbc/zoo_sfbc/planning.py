"""In-sample planning: values of logged actions by dynamic programming along trajectories.

Chen et al. 2023, arXiv:2209.14548, section 3.2: R_t = r_t + gamma max(R_{t+1}, V_{t+1}), where V is
a softmax-weighted mean of Q over actions that the behaviour model draws, none of which leaves the
data's support.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor

from zoo_core import Agent, Columns, Critic, Noise, OfflineData, drawn_actions
from zoo_sfbc.config import SfBCConfig

ROWS = 1024
"""Observations whose actions are scored at a time."""


class Scale(NamedTuple):
    """Normalisation of the critic's targets: a value R becomes (R - mean) / std."""

    mean: float
    std: float

    @classmethod
    def of(cls, returns: Tensor, unit: float = 1.0) -> "Scale":
        """The scale of the values of the logged actions.

        Args:
            returns: [N].
            unit: Magnitude of the largest reward. The deviation is at least a tenth of it: the
                official code's 0.1 where rewards are up to 1.
        """
        std = max(float(returns.std(correction=0)), 0.1 * unit)
        return cls(float(returns.mean()), std or 1.0)


@dataclass(frozen=True)
class Plan:
    """Rounds of planning with an algorithm's settings."""

    config: SfBCConfig

    def prepare(self, agent: Agent, data: OfflineData, noise: Noise) -> Columns:
        """One round: the columns `targets` (what the critic learns) and `returns` (R itself).

        The first round's are the discounted returns. The second draws the column `drawn`, actions
        of the behaviour model, which later rounds take again.
        """
        config, columns, unit = self.config, Columns(), agent.largest_reward(data)
        rewards = (data.rewards.double() - agent.reward_shift.cpu()) * agent.reward_scale.cpu()
        if "returns" not in data.columns:
            returns = planned(rewards, data, config.discount, None, False)
        else:
            drawn = data.columns.get("drawn")
            if drawn is None:
                drawn = columns["drawn"] = drawn_actions(agent, data, noise, config.samples)
            before = self.scale(data.columns["returns"][data.rows].double(), unit)
            values = soft_values(agent, data, drawn, config.alpha).double()
            values = values * before.std + before.mean
            returns = planned(rewards, data, config.discount, values, config.bootstrap_truncations)
            returns = returns.maximum(values[data.rows]) if config.floor else returns
        mean, std = self.scale(returns, unit)
        for name, numbers in {"returns": returns, "targets": (returns - mean) / std}.items():
            columns[name] = at_observations(numbers, data).to(agent.reward_scale.dtype)
        return columns

    def scale(self, returns: Tensor, unit: float) -> Scale:
        """Normalisation of these values [N] for the critic; `unit` is the largest reward."""
        return Scale.of(returns, unit) if self.config.normalize_returns else Scale(0.0, 1.0)


def soft_values(agent: Agent, data: OfflineData, samples: Tensor, alpha: float) -> Tensor:
    """V(s) = sum_i softmax_i(alpha Q(s, a_i)) Q(s, a_i) [N + E] over samples [N + E, M, A]."""
    critic = cast(Critic, agent.part("critic"))
    values = []
    chunks = (torch.split(tensor, ROWS) for tensor in (data.observations, samples))
    for observations, actions in zip(*chunks, strict=True):
        candidates = actions.to(agent.reward_scale).transpose(0, 1)
        q = critic.q(agent.normalized(observations.to(candidates)), candidates)[0]
        values.append(((alpha * q).softmax(0) * q).sum(0).cpu())
    return torch.cat(values)


def planned(
    rewards: Tensor, data: OfflineData, discount: float, values: Tensor | None, bootstrap: bool
) -> Tensor:
    """R [N], float64, of every logged transition.

    Args:
        rewards: [N], rescaled as the algorithm asks.
        data: Whose episodes are planned along.
        discount: Factor gamma.
        values: V [N + E] at the stored observations; none for the discounted returns.
        bootstrap: Whether the value of the last observation continues a truncated episode.
            Terminations never go on.
    """
    ahead = [float("-inf")] * (len(data) + len(data.lengths)) if values is None else values.tolist()
    r, stops, rows = rewards.tolist(), data.terminations.tolist(), data.rows.tolist()
    starts = data.starts.tolist()
    result = [0.0] * len(data)
    for first, end in itertools.pairwise(starts):
        last = end - 1
        goes_on = bootstrap and values is not None and not stops[last]
        result[last] = r[last] + (discount * ahead[rows[last] + 1] if goes_on else 0.0)
        for t in range(last - 1, first - 1, -1):
            result[t] = r[t] + discount * max(result[t + 1], ahead[rows[t] + 1])
    return torch.tensor(result, dtype=torch.float64)


def at_observations(per_transition: Tensor, data: OfflineData) -> Tensor:
    """Numbers [N] as a column [N + E]: at each transition's observation, 0 at an episode's last."""
    column = per_transition.new_zeros(len(data.observations))
    column[data.rows] = per_transition
    return column
