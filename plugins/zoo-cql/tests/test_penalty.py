"""The loss `cql_penalty` against integrals and optima in closed form."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from zoo_cql.penalty import MAX_MULTIPLIER, CqlPenaltyConfig, build

from zoo_core import Batch, Context, GeneratorNoise, Space
from zoo_core.builtin.dual import DualConfig, DualVariable
from zoo_core.builtin.tanh_gaussian import TanhGaussian, TanhGaussianConfig
from zoo_core.testing import checks_of

ROWS = 4


class Slope(nn.Module):
    """Q_e = slope_e a + e, for actions of one dimension."""

    def __init__(self, *slopes):
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor(slopes, dtype=torch.float64))

    def q(self, observations, actions, members=None):
        a = actions[..., 0]
        lead = (-1, *[1] * a.dim())
        return self.slopes.view(lead) * a + torch.arange(len(self.slopes)).view(lead)


class Bins(nn.Module):
    """A table: Q is constant on each of K equal bins of [-1, 1]."""

    def __init__(self, k):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(k, dtype=torch.float64))

    def q(self, observations, actions, members=None):
        k = len(self.table)
        index = ((actions[..., 0] + 1) / 2 * k).long().clamp(0, k - 1)
        return self.table[index].unsqueeze(0)


class Parts(dict):
    """An agent of given parts."""

    def part(self, path):
        return self[path]


def policy(mean=0.3, log_std=-0.3):
    sampler = TanhGaussian(TanhGaussianConfig(layers=0), Space(1, 1)).double()
    with torch.no_grad():
        sampler.net.first.weight.zero_()
        sampler.net.first.bias.copy_(torch.tensor([mean, log_std]))
    return sampler


def context(critic, actions, multiplier=1.0, seed=0):
    rows = len(actions)
    zeros = torch.zeros(rows, 1, dtype=torch.float64)
    batch = Batch(zeros, actions.view(rows, 1), zeros[:, 0], zeros, zeros[:, 0], torch.arange(rows))
    dual = DualVariable(DualConfig(initial=multiplier), Space(1, 1)).double()
    parts = Parts(sampler=policy(), critic=critic, multiplier=dual)
    noise = GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)
    return Context(parts, batch, noise, {})


def penalty(critic, multiplier=1.0, **settings):
    """The loss and its context, for four data actions."""
    data = torch.tensor([-0.5, -0.1, 0.0, 0.2], dtype=torch.float64)
    own = context(critic, data, multiplier)
    return build(CqlPenaltyConfig(**settings))(own)[0], own


@pytest.mark.parametrize("check", checks_of("cql_penalty"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize("slope", [0.5, 3.0])
def test_h_is_the_integral_of_exp_q(slope):
    n = 40_000
    loss, own = penalty(Slope(slope), n=n)
    integral = math.log(2 * math.sinh(slope) / slope)
    expected = integral + math.log(3 * n) - slope * own.batch.actions.mean().item()
    assert loss.item() == pytest.approx(expected, abs=0.02)


def test_rho_is_the_policys_mean_of_exp_q():
    n, slope, temperature = 40_000, 2.0, 0.7
    loss, own = penalty(Slope(slope), n=n, regularizer="rho", temperature=temperature)
    a = torch.linspace(-1, 1, 20_001, dtype=torch.float64)[1:-1].view(-1, 1, 1)
    density = policy().log_prob(torch.zeros(1, 1).double(), a)[:, 0].exp()
    mean = torch.trapezoid(density * (slope * a[:, 0, 0] / temperature).exp(), a[:, 0, 0])
    expected = temperature * mean.log() - slope * own.batch.actions.mean()
    assert loss.item() == pytest.approx(expected.item(), abs=0.02)


def test_rho_code_adds_up_samples_and_the_datas_action_unweighted():
    loss, _ = penalty(Slope(0.0), regularizer="rho_code", n=7)
    assert loss.item() == pytest.approx(math.log(3 * 7 + 1))


def test_members_and_weights_add_up():
    one, _ = penalty(Slope(1.0), n=3)
    two, _ = penalty(Slope(1.0, 1.0), n=3, min_q_weight=4.0)
    torch.testing.assert_close(two, 8 * one)


@pytest.mark.parametrize("threshold", [1.0, 20.0])
def test_the_multiplier_scales_the_critics_gradient_and_follows_the_gap(threshold):
    weight, multiplier = 2.0, 0.7
    plain_critic, critic = Slope(1.0, 2.0), Slope(1.0, 2.0)
    plain, _ = penalty(plain_critic, min_q_weight=weight)
    plain.backward()
    loss, own = penalty(critic, multiplier, min_q_weight=weight, threshold=threshold)
    loss.backward()
    torch.testing.assert_close(critic.slopes.grad, multiplier * plain_critic.slopes.grad)
    excess = plain.item() / 2 - threshold  # the members' mean gap
    gradient = own.part("multiplier").log_value.grad
    assert gradient.item() == pytest.approx(-multiplier * excess)
    assert (gradient.item() < 0) == (threshold == 1.0)  # it grows where the gap is too wide


def test_the_multiplier_is_clamped():
    loss, own = penalty(Slope(1.0), 1e9, threshold=1e-9)
    bounded, _ = penalty(Slope(1.0), MAX_MULTIPLIER, threshold=1e-9)
    loss.backward()
    torch.testing.assert_close(loss, bounded)
    assert own.part("multiplier").log_value.grad.item() == 0.0


def test_the_penalty_leaves_the_policy_alone():
    loss, own = penalty(Slope(1.0), threshold=1.0)
    loss.backward()
    assert all(p.grad is None for p in own.part("sampler").parameters())


def test_the_learnt_table_is_the_optimum_and_its_policys_value_a_lower_bound():
    """On a table, squared error + alpha (log integral of exp Q - E_D Q) is least where
    Q = r + alpha / 2 (1 - p / beta), p(bin) ~ exp Q and beta the data's: above r where the data are
    dense, below where they are rare, and E_p[Q - r] = -alpha / 2 chi^2(p, beta) <= 0."""
    alpha, k = 2.0, 5
    beta = torch.tensor([1, 2, 8, 4, 1], dtype=torch.float64) / 16
    rewards = torch.tensor([2.0, 0.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    centres = torch.arange(k).double().add(0.5) / k * 2 - 1
    actions = centres.repeat_interleave((beta * 16).long())
    critic = Bins(k)
    loss = build(CqlPenaltyConfig(min_q_weight=alpha, n=300))
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.2)
    tail = []
    for step in range(600):
        own = context(critic, actions, seed=step)
        error = (critic.table - rewards).square() @ beta
        optimizer.zero_grad()
        (error + loss(own)[0]).backward()
        optimizer.step()
        if step >= 300:
            tail.append(critic.table.detach().clone())
    learnt = torch.stack(tail).mean(0)
    p = learnt.softmax(0)
    torch.testing.assert_close(learnt, rewards + alpha / 2 * (1 - p / beta), rtol=0, atol=0.03)
    rare = p > beta
    assert rare.any()
    assert (learnt < rewards)[rare].all()
    assert p @ learnt < p @ rewards


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0},
        {"n": 0},
        {"min_q_weight": -1.0},
        {"regularizer": "G"},
        {"threshold": 0.0},
        {"threshold": -1.0},
    ],
)
def test_settings_out_of_their_meaning_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CqlPenaltyConfig(**wrong)
