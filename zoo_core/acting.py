"""How an agent chooses actions, as an `Act` describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from zoo_core.noise import Noise
from zoo_core.protocols import Critic, HasMode, ValueFunction
from zoo_core.reductions import over_members
from zoo_core.specs import Act

if TYPE_CHECKING:
    from zoo_core.agent import Agent


def choose(agent: Agent, act: Act, observations: Tensor, noise: Noise) -> Tensor:
    """Actions [B, A] for normalised observations [B, O]."""
    sampler = agent.part(act.sampler)
    if act.choose in {"mode", "mode_or_sample"} and isinstance(sampler, HasMode):
        return sampler.mode(observations)
    candidates = _candidates(sampler, act, observations, noise)
    if act.score is None:
        return candidates[0]
    q = cast(Critic, agent.part(act.score)).q(observations, candidates)
    scores = over_members(q, act.reduce)
    if act.choose in {"softmax", "expectile"}:
        scores = _logits(agent, act, observations, scores) + gumbel(noise, *scores.shape)
    # The best of logits + Gumbel are a draw from their softmax without replacement.
    best = scores.topk(act.average, 0).indices
    index = best[..., None].expand(-1, -1, candidates.shape[-1])
    return candidates.gather(0, index).mean(0)


def _logits(agent: Agent, act: Act, observations: Tensor, scores: Tensor) -> Tensor:
    """Logarithms, up to a constant, of the probabilities of candidates with scores [n, B]."""
    if act.choose == "softmax":
        return scores / act.temperature
    above = scores > cast(ValueFunction, agent.part(act.value)).v(observations)
    tau = act.expectile
    return torch.where(above, scores.new_tensor(tau), scores.new_tensor(1.0 - tau)).log()


def _candidates(sampler: Any, act: Act, observations: Tensor, noise: Noise) -> Tensor:
    """[n, B, A]"""
    if act.solver is not None:
        drawn: Tensor = sampler.sample_with(act.solver, observations, noise, act.n)
    elif act.scale is not None:
        drawn = sampler.sample_scaled(observations, noise, act.n, act.scale)
    else:
        drawn = sampler.sample(observations, noise, act.n)
    return drawn


def gumbel(noise: Noise, *shape: int) -> Tensor:
    """Standard Gumbel numbers: the argmax of logits + Gumbel is a draw from their softmax."""
    uniform = noise.uniform(*shape).clamp(min=1e-20)
    return -(-uniform.log()).clamp(min=1e-20).log()
