"""The losses `expectile` and `advantage_nll`: minimisers against closed forms, weights, dropout."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from zoo_core import Batch, GeneratorNoise, Space
from zoo_core.builtin.advantage_nll import AdvantageNllConfig, advantage_weights
from zoo_core.builtin.deterministic import Deterministic, DeterministicConfig
from zoo_core.builtin.expectile import (
    MAX_WEIGHT,
    ExpectileConfig,
    build,
    expectile_loss,
    exponential_loss,
    quantile_loss,
)
from zoo_core.builtin.gaussian import Gaussian, GaussianConfig
from zoo_core.builtin.value import Value, ValueConfig
from zoo_core.testing import checks_of

Q = torch.tensor([-2.0, -0.5, 0.1, 0.4, 3.0], dtype=torch.float64)
"""In-sample values, of which 3 is the greatest."""
NUMBERS = st.floats(-5, 5)
LEVELS = st.floats(0.01, 0.99)
patient = settings(deadline=None)


def minimiser(loss):
    """The v that minimises mean loss(Q - v), by bisection of its derivative."""
    low, high = torch.tensor(-10.0).double(), torch.tensor(10.0).double()
    for _ in range(80):
        v = ((low + high) / 2).requires_grad_()
        slope = torch.autograd.grad(loss(Q - v).mean(), v)[0]
        low, high = (low, v.detach()) if slope > 0 else (v.detach(), high)
    return float(low)


@pytest.mark.parametrize("name", ["value", "expectile", "advantage_nll"])
def test_conformance(name):
    for check in checks_of(name):
        if "in each algorithm" not in check.name:  # the algorithms' own tests do that
            check()


def test_the_middle_expectile_is_the_mean_and_quantile_the_median():
    assert minimiser(lambda d: expectile_loss(d, 0.5)) == pytest.approx(float(Q.mean()), abs=1e-9)
    assert minimiser(lambda d: quantile_loss(d, 0.5)) == pytest.approx(float(Q.median()), abs=1e-9)


@patient
@given(LEVELS)
def test_the_expectile_balances_its_sides(tau):
    """Its definition: tau E[(Q - m)+] = (1 - tau) E[(m - Q)+]."""
    m = minimiser(lambda d: expectile_loss(d, tau))
    above, below = (Q - m).clamp(min=0).mean(), (m - Q).clamp(min=0).mean()
    assert float(tau * above) == pytest.approx(float((1 - tau) * below), abs=1e-9)


def test_towards_1_the_expectile_tends_to_the_in_sample_maximum():
    gaps = [
        3.0 - minimiser(lambda d, t=t: expectile_loss(d, t)) for t in (0.9, 0.99, 0.999, 0.9999)
    ]
    assert gaps == sorted(gaps, reverse=True)
    # With one greatest of five: tau gap = (1 - tau) sum of the others' distances to it.
    assert gaps[-1] == pytest.approx(1e-4 * float((3.0 - Q).sum()), rel=1e-2)


@patient
@given(NUMBERS, LEVELS)
def test_expectile_loss_is_asymmetric(difference, tau):
    d = torch.tensor(difference, dtype=torch.float64)
    both = expectile_loss(d, tau) + expectile_loss(d, 1 - tau)
    torch.testing.assert_close(both, d.square())
    torch.testing.assert_close(expectile_loss(-d, tau), expectile_loss(d, 1 - tau))
    assert float(expectile_loss(d, tau)) >= 0.0


def test_the_exponential_objective_gives_the_soft_maximum():
    temperature = 4.0  # exp(d / T) stays below the bound
    soft = temperature * ((Q / temperature).exp().mean()).log()
    ours = minimiser(lambda d: exponential_loss(d, temperature))
    assert ours == pytest.approx(float(soft), abs=1e-9)


@patient
@given(NUMBERS, st.floats(0.1, 3))
def test_the_exponential_objectives_slope_is_bounded(difference, temperature):
    d = torch.tensor(difference, dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(exponential_loss(d, temperature), d)[0]
    # At the bound itself either side's slope will do.
    expected = min(math.exp(difference / temperature), MAX_WEIGHT) - 1.0
    if abs(difference / temperature - math.log(MAX_WEIGHT)) > 1e-9:
        assert float(slope) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("objective", ["expectile", "quantile", "exponential"])
def test_the_value_learns_and_the_critic_is_a_constant(objective):
    class Parts:
        """A context with a table of Q as critic."""

        def __init__(self):
            torch.manual_seed(0)
            self.value = Value(ValueConfig(hidden=8), Space(2, 1)).double()
            self.target, self.critic, self.batch = self, self, batch
            self.table = torch.stack([Q, Q + 1.0]).requires_grad_()

        def part(self, name):
            return getattr(self, name)

        def q(self, observations, actions):
            return self.table

    zeros = torch.zeros(5, 2).double()
    batch = Batch(zeros, zeros[:, :1], Q, zeros, Q, torch.arange(5))
    parts = Parts()
    value = build(ExpectileConfig(objective=objective))(parts)[0]
    value.backward()
    assert parts.table.grad is None
    v = parts.value.v(zeros).detach()
    least = {"expectile": expectile_loss, "quantile": quantile_loss}
    expected = least[objective](Q - v, 0.7) if objective in least else exponential_loss(Q - v, 1.0)
    torch.testing.assert_close(value.detach(), expected.mean())


@patient
@given(st.floats(-50, 50), st.floats(0, 20))
def test_weights_are_bounded_and_constant(advantage, beta):
    a = torch.tensor(advantage, dtype=torch.float64, requires_grad=True)
    weight = advantage_weights(a, beta, 100.0)
    assert not weight.requires_grad
    assert float(weight) == pytest.approx(math.exp(min(beta * advantage, math.log(100.0))))


def test_without_temperature_weights_are_one():
    assert torch.equal(advantage_weights(Q, 0.0, 100.0), torch.ones_like(Q))


@pytest.mark.parametrize(
    ("config", "field", "values"),
    [
        (ExpectileConfig, "expectile", [0.0, 1.0, -0.1, math.nan]),
        (ExpectileConfig, "temperature", [0.0, -1.0]),
        (AdvantageNllConfig, "beta", [-1.0, math.inf]),
        (AdvantageNllConfig, "max_weight", [0.0]),
        (GaussianConfig, "dropout", [-0.1, 1.0]),
        (DeterministicConfig, "dropout", [-0.1, 1.0]),
    ],
)
def test_values_outside_their_meaning_are_refused(config, field, values):
    for value in values:
        with pytest.raises(ValidationError, match=field):
            config(**{field: value})


@pytest.mark.parametrize(
    ("kind", "config"), [(Gaussian, GaussianConfig), (Deterministic, DeterministicConfig)]
)
def test_dropout_is_in_the_nll_alone(kind, config):
    def noise():
        return GeneratorNoise(torch.Generator().manual_seed(0), torch.float64)

    def policy(rate):
        torch.manual_seed(0)
        return kind(config(hidden=16, dropout=rate), Space(3, 2)).double()

    torch.manual_seed(1)
    observations, actions = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    plain, dropping = policy(0.0), policy(0.5)
    torch.testing.assert_close(dropping.mode(observations), plain.mode(observations))
    samples = [p.sample(observations, noise()) for p in (plain, dropping)]
    torch.testing.assert_close(*samples)
    losses = [p.nll(observations, actions, noise()) for p in (plain, dropping)]
    assert not torch.allclose(*losses)
