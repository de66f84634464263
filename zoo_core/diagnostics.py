"""Diagnostics of a policy and its critic on stored data: Q of its actions and of the data's, the
distance between the two, and whether Q is anything that the rewards could add up to.

Overestimated values of actions that nobody tried are the failure of offline learning (Kumar et al.
2020, arXiv:2006.04779, section 3); a score alone does not tell it from others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from zoo_core.agent import Agent
from zoo_core.data import OfflineData
from zoo_core.noise import Noise, stream_seed
from zoo_core.protocols import Critic, Dual, HasLogProb
from zoo_core.recipe import BoundLoss, Recipe
from zoo_core.specs import Policy

ROWS = 128
"""Stored transitions that are looked at: few, for a policy may draw 100 candidates for each."""
MARGIN = 0.1
"""How far Q may leave its range before there is an alarm, as a share of the range's width."""


class Range(NamedTuple):
    """The minimum and maximum of a discounted return."""

    low: float
    high: float


class Diagnosis(NamedTuple):
    """Diagnostics of an agent on the data; a number that is undefined is None."""

    q_data: float | None = None
    """Mean Q of stored actions, over members of the critic too."""
    q_policy: float | None = None
    """Mean Q of the policy's actions at the same observations."""
    q_low: float | None = None
    q_high: float | None = None
    """The range of Q that the rewards allow; see `value_range`."""
    action_distance: float | None = None
    """Between the policy's and the stored actions; see `action_distance`."""
    alarm: str = ""
    """One line where Q is not finite or leaves its range; else empty."""


def probe(data: OfflineData, rows: int = ROWS) -> Tensor:
    """At most `rows` transitions [R] of the data, the same for every agent."""
    if len(data) <= rows:
        return torch.arange(len(data))
    generator = torch.Generator().manual_seed(stream_seed("diagnostics", data.digest))
    return torch.randint(len(data), (rows,), generator=generator)


@torch.no_grad()
def diagnose(
    agent: Agent, data: OfflineData, noise: Noise, act: str | None = None, rows: int = ROWS
) -> Diagnosis:
    """Q and actions of an agent on stored transitions.

    An algorithm without a critic has no Q, and one whose critic does not learn discounted sums of
    the rewards (SfBC's learns standardised ones) no range. It draws from `noise` alone.

    Args:
        agent: In evaluation mode.
        data: As logged; transitions are chosen by `probe`.
        noise: What the policy draws from.
        act: A named act. Default: the headline.
        rows: Transitions at most.
    """
    index = probe(data, rows)
    observations = data.observations[data.rows[index]].to(agent.reward_scale)
    stored = data.actions[index].to(agent.reward_scale)
    chosen = agent.act(observations, noise, act)
    distance = _finite(action_distance(chosen, stored))
    critic = critic_of(agent)
    if critic is None:
        return Diagnosis(action_distance=distance)
    inputs = agent.normalized(observations)
    means = {
        "stored actions": float(critic.q(inputs, stored).mean()),
        "the policy's actions": float(critic.q(inputs, chosen).mean()),
    }
    allowed = allowed_range(agent, data, inputs, noise)
    q_data, q_policy = map(_finite, means.values())
    low, high = (None, None) if allowed is None else allowed
    return Diagnosis(q_data, q_policy, low, high, distance, alarm(means, allowed))


def diagnose_policy(policy: Policy, data: OfflineData, device: str = "cpu") -> Diagnosis:
    """Distance of the actions of an external learner's policy from the data's; its values are not
    known."""
    index = probe(data)
    actions = policy(data.observations[data.rows[index]].to(device)).detach()
    chosen = actions.cpu().float().clamp(-1.0, 1.0)
    return Diagnosis(action_distance=_finite(action_distance(chosen, data.actions[index])))


def action_distance(actions: Tensor, others: Tensor) -> float:
    """The mean over observations of the root mean square difference of actions [B, A] over their
    dimensions: from 0 to 2 in [-1, 1], whatever A is."""
    return float((actions - others).square().mean(-1).sqrt().mean())


def critic_of(agent: Agent) -> Critic | None:
    """The agent's critic of actions: the part `critic`, else the first that has a `q`."""
    parts = sorted(agent.live.items(), key=lambda item: item[0] != "critic")
    return next((cast(Critic, part) for _, part in parts if isinstance(part, Critic)), None)


def value_range(rewards: Tensor, terminations: Tensor, discount: float) -> Range | None:
    """What Q can be if it is a discounted sum of rewards such as these.

    An endless episode of the minimum reward is worth r_min / (1 - discount), and so above. If some
    episodes terminate, the last reward may also come at once; where every transition terminates,
    there is no other. None if the discount is 1 and an episode does not terminate.

    Args:
        rewards: [N], as the critic sees them.
        terminations: [N], bool. Truncated episodes count as continuing, as in the bootstrap.
        discount: Factor gamma.
    """
    least, greatest = float(rewards.min()), float(rewards.max())
    if bool(terminations.all()):
        return Range(least, greatest)
    if discount >= 1.0:
        return None
    low, high = least / (1.0 - discount), greatest / (1.0 - discount)
    if bool(terminations.any()):
        return Range(min(low, least), max(high, greatest))
    return Range(low, high)


def allowed_range(agent: Agent, data: OfflineData, inputs: Tensor, noise: Noise) -> Range | None:
    """The range of Q for the agent's rewards and discount, widened by what entropy may add.

    None where no loss that reads the critic has a setting `discount`: what the critic learns is
    then not known to be a discounted sum of the rewards.

    Args:
        agent: Whose reward rule and losses count.
        data: As logged.
        inputs: Normalised observations [B, O], at which the policy's entropy is estimated.
        noise: What the estimate draws from.
    """
    losses = list(_bootstraps(agent.recipe))
    if not losses:
        return None
    discount = max(float(cast(Any, bound.config).discount) for bound in losses)
    shift, scale = agent.reward_shift.cpu(), agent.reward_scale.cpu()
    found = value_range((data.rewards - shift) * scale, data.terminations, discount)
    entropy = any(getattr(bound.config, "entropy", False) for bound in losses)
    if found is None or not entropy or "temperature" not in agent.live:
        return found
    least, greatest = _entropy_bonus(agent, inputs, noise)
    # The entropy of the first action is not in Q, that of all later ones is.
    ahead = 0.0 if bool(data.terminations.all()) else discount / (1.0 - discount)
    return Range(found.low + ahead * least, found.high + ahead * greatest)


def _bootstraps(recipe: Recipe) -> Iterable[BoundLoss]:
    """The losses by which the critic learns discounted sums: those with a `discount`."""
    for bound in recipe.losses.values():
        reads = bound.spec.reads_with(bound.config).values()
        if "discount" in type(bound.config).model_fields and any(Critic in read for read in reads):
            yield bound


def _entropy_bonus(agent: Agent, inputs: Tensor, noise: Noise) -> Range:
    """What the entropy may add to one reward: at most that of uniform actions, at least that of the
    present policy where it is negative."""
    temperature = float(cast(Dual, agent.part("temperature")).value())
    sampler = cast(HasLogProb, agent.part("sampler"))
    entropy = -float(sampler.sample_log_prob(inputs, noise)[1].mean())
    return Range(
        temperature * min(entropy, 0.0), temperature * agent.space.action_dim * math.log(2.0)
    )


def alarm(means: dict[str, float], allowed: Range | None) -> str:
    """A line about the mean Q that is furthest outside of what is allowed; empty if none is.

    Critics begin near 0, which is therefore never outside, and learn by approximation: `MARGIN` of
    the range's width is let pass, or 1 where it has none.

    Args:
        means: Mean Q by what it is of.
        allowed: Range of possible Q. If None, Q must only be finite.
    """
    for name, value in means.items():
        if not math.isfinite(value):
            return f"Q of {name} is not finite"
    if allowed is None:
        return ""
    low, high = min(allowed.low, 0.0), max(allowed.high, 0.0)
    excess = {name: max(value - high, low - value) for name, value in means.items()}
    worst = max(excess, key=lambda name: excess[name])
    # Where all rewards are 0 the range has no width, and critics begin within 1 of it.
    if excess[worst] <= (MARGIN * (high - low) if high > low else 1.0):
        return ""
    side = "above" if means[worst] > high else "below"
    return (
        f"Q of {worst} is {means[worst]:.4g} on average, {side} the "
        f"{allowed.low:.4g} to {allowed.high:.4g} that the rewards allow"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
