"""SAC's losses and dual variables on parts whose values are known."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from zoo_core import Batch, Context, GeneratorNoise, Space
from zoo_core.builtin import entropy, sac_actor, soft_td, temperature
from zoo_core.builtin.dual import DualConfig, DualVariable
from zoo_core.testing import checks_of

ROWS, A = 6, 2


class Uniform(nn.Module):
    """Actions uniform in [-h, h]^A: log p = -A log(2 h), the reach h a parameter."""

    def __init__(self, reach):
        super().__init__()
        self.reach = nn.Parameter(torch.tensor(reach, dtype=torch.float64))

    def sample_log_prob(self, observations, noise, n=1):
        unit = 2 * noise.uniform(n, len(observations), A) - 1
        log_prob = -A * (2 * self.reach).log()
        return self.reach * unit, log_prob.expand(n, len(observations))


class Linear(nn.Module):
    """Q_e = weight_e sum(a) + offset_e."""

    def __init__(self, weights, offsets):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.float64))
        self.offsets = nn.Parameter(torch.tensor(offsets, dtype=torch.float64))

    def q(self, observations, actions, members=None):
        total = actions.sum(-1)
        shape = (-1, *[1] * total.dim())
        return self.weights.view(shape) * total + self.offsets.view(shape)


class Parts(dict):
    """An agent of given parts."""

    def part(self, path):
        return self[path]


def dual(initial):
    return DualVariable(DualConfig(initial=initial), Space(1, A)).double()


@pytest.fixture
def parts():
    return Parts(
        {
            "sampler": Uniform(0.5),
            "critic": Linear([1.0, 2.0], [0.0, 1.0]),
            "target.critic": Linear([0.0, 0.0], [3.0, 5.0]),
            "temperature": dual(0.2),
        }
    )


def context(parts, seed=0):
    generator = torch.Generator().manual_seed(1)
    draw = {"generator": generator, "dtype": torch.float64}
    batch = Batch(
        observations=torch.zeros(ROWS, 1).double(),
        actions=torch.rand(ROWS, A, **draw),
        rewards=torch.randn(ROWS, **draw),
        next_observations=torch.zeros(ROWS, 1).double(),
        terminations=torch.tensor([0.0, 1.0] * (ROWS // 2)).double(),
        index=torch.arange(ROWS),
    )
    noise = GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)
    return Context(parts, batch, noise, {})


def run(module, parts, **settings):
    return module.build(module.SPEC.config(**settings))(context(parts))


NAMES = ("dual", "soft_td", "sac_actor", "entropy", "temperature")


@pytest.mark.parametrize("check", [c for name in NAMES for c in checks_of(name)], ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize("with_entropy", [True, False])
def test_soft_td_bootstraps_the_least_member_and_the_entropy(parts, with_entropy):
    parts["sampler"].reach.data.fill_(0.25)
    loss, metrics = run(soft_td, parts, entropy=with_entropy, discount=0.9)
    batch = context(parts).batch
    value = 3.0 + (0.2 * A * math.log(0.5) if with_entropy else 0.0)
    target = batch.rewards + 0.9 * (1 - batch.terminations) * value
    q = parts["critic"].q(batch.observations, batch.actions)
    torch.testing.assert_close(loss, (q - target).square().mean(1).sum())
    torch.testing.assert_close(metrics["target_mean"], target.mean())


def test_soft_td_takes_candidates(parts):
    parts["target.critic"] = Linear([1.0, -1.0], [0.0, 0.0])
    many = run(soft_td, parts, entropy=False, n=1000, reduce="max_then_min", discount=1.0)[1]
    rewards = context(parts).batch.rewards.mean()
    # The best of many actions in [-1/2, 1/2]^2 is near (1/2, 1/2) for either member.
    assert (many["target_mean"] - rewards).item() == pytest.approx(0.5 * 1.0, abs=0.05)


def test_soft_td_trains_the_critic_alone(parts):
    run(soft_td, parts)[0].backward()
    assert parts["critic"].weights.grad is not None
    others = [*parts["sampler"].parameters(), *parts["temperature"].parameters()]
    assert all(p.grad is None for p in [*others, *parts["target.critic"].parameters()])


def test_sac_actor_weighs_entropy_against_the_least_member(parts):
    loss, metrics = run(sac_actor, parts)
    actions, log_prob = parts["sampler"].sample_log_prob(
        context(parts).batch.observations, context(parts).noise
    )
    q = parts["critic"].q(None, actions).amin(0)
    torch.testing.assert_close(loss, (0.2 * log_prob - q).mean())
    torch.testing.assert_close(metrics["q_policy"], q.mean())


def test_sac_actor_trains_the_policy_alone_through_the_critic(parts):
    loss, _ = run(sac_actor, parts)
    loss.backward()
    # d/dh of 0.2 (-A log 2h) - mean(min_e w_e h sum(u) + b_e)
    unit = 2 * context(parts).noise.uniform(1, ROWS, A) - 1
    total = unit.sum(-1)[0]
    which = torch.stack([0.5 * total, 1.0 * total + 1.0]).argmin(0)
    slope = torch.where(which == 0, total, 2 * total).mean()
    expected = -0.2 * A / 0.5 - slope
    torch.testing.assert_close(parts["sampler"].reach.grad, expected)
    assert all(p.grad is None for p in parts["critic"].parameters())
    assert parts["temperature"].log_value.grad is None


def test_entropy_is_the_other_half_of_the_actor(parts):
    loss, _ = run(entropy, parts)
    loss.backward()
    assert loss.item() == pytest.approx(0.2 * -A * math.log(1.0))
    assert parts["sampler"].reach.grad.item() == pytest.approx(-0.2 * A / 0.5)


@pytest.mark.parametrize("factor", ["log", "value"])
@pytest.mark.parametrize(("half", "direction"), [(0.9, 1), (0.1, -1)])
def test_temperature_falls_where_the_entropy_exceeds_its_target(parts, factor, half, direction):
    # The target is -A = -2; the entropy of [-h, h]^2 is 2 log 2h, which is -2 at h = 1 / 2e.
    parts["sampler"].reach.data.fill_(half)
    loss, metrics = run(temperature, parts, factor=factor)
    loss.backward()
    excess = A * math.log(2 * half) + A
    scale = 1.0 if factor == "log" else 0.2
    assert parts["temperature"].log_value.grad.item() == pytest.approx(scale * excess)
    assert math.copysign(1, excess) == direction
    assert parts["sampler"].reach.grad is None
    assert metrics["entropy"].item() == pytest.approx(A * math.log(2 * half))


def test_a_target_entropy_can_be_set(parts):
    loss, _ = run(temperature, parts, target_entropy=0.5)
    assert loss.item() == pytest.approx(math.log(0.2) * (A * math.log(1.0) - 0.5))


def test_a_dual_variable_is_positive_and_starts_where_it_is_told():
    variable = dual(3.0)
    assert variable.value().item() == pytest.approx(3.0)
    assert variable.log().item() == pytest.approx(math.log(3.0))
    for refused in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            DualConfig(initial=refused)


def test_a_constant_part_passes_gradients_to_its_inputs_only(parts):
    actions = torch.ones(ROWS, A).double().requires_grad_()
    q = context(parts).constant("critic").q(None, actions)
    torch.testing.assert_close(q, parts["critic"].q(None, actions))
    q.sum().backward()
    torch.testing.assert_close(actions.grad, torch.full((ROWS, A), 3.0).double())
    assert all(p.grad is None for p in parts["critic"].parameters())
