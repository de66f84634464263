"""The sampler `tanh_gaussian` against closed forms and automatic differentiation."""

import math

import pytest
import torch
from pydantic import ValidationError

from zoo_core import GeneratorNoise, Space
from zoo_core.builtin.tanh_gaussian import TanhGaussian, TanhGaussianConfig
from zoo_core.testing import checks_of

ONE = torch.zeros(1, 1, dtype=torch.float64)


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)


def policy(mean, log_std, **settings):
    """A policy of one-dimensional actions that ignores the observation."""
    sampler = TanhGaussian(TanhGaussianConfig(layers=0, **settings), Space(1, 1)).double()
    with torch.no_grad():
        sampler.net.first.bias.copy_(torch.tensor([mean, log_std]))
    return sampler


def wide(**settings):
    torch.manual_seed(0)
    return TanhGaussian(TanhGaussianConfig(**settings), Space(4, 3)).double()


@pytest.mark.parametrize("check", checks_of("tanh_gaussian"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (1.2, -1.0), (-0.5, 0.5), (0.0, -3.0)])
def test_density_integrates_to_one(mean, log_std):
    actions = torch.linspace(-1, 1, 200_001, dtype=torch.float64)[1:-1].view(-1, 1, 1)
    density = policy(mean, log_std).log_prob(ONE, actions).exp()
    assert torch.trapezoid(density[:, 0], actions[:, 0, 0]).item() == pytest.approx(1.0, abs=1e-3)


def test_log_prob_is_the_change_of_variables():
    sampler = wide()
    observations = torch.randn(5, 4, dtype=torch.float64)
    z = noise().normal(1, 5, 3)
    mean, log_std = sampler.net(observations).chunk(2, -1)
    actions, log_prob = sampler.sample_log_prob(observations, noise())
    for row in range(5):
        jacobian = torch.autograd.functional.jacobian(
            lambda draw, i=row: (mean[i] + log_std[i].exp() * draw).tanh(), z[0, row]
        )
        base = -0.5 * (z[0, row].square() + math.log(2 * math.pi)).sum()
        expected = base - torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(log_prob[0, row], expected, rtol=1e-10, atol=1e-10)
    again = sampler.log_prob(observations, actions)
    torch.testing.assert_close(again, log_prob, rtol=1e-8, atol=1e-8)


def test_entropy_is_that_of_quadrature():
    sampler = policy(0.3, -0.5)
    _, log_prob = sampler.sample_log_prob(ONE, noise(), 200_000)
    actions = torch.linspace(-1, 1, 100_001, dtype=torch.float64)[1:-1].view(-1, 1, 1)
    log_density = sampler.log_prob(ONE, actions)[:, 0]
    entropy = -torch.trapezoid(log_density.exp() * log_density, actions[:, 0, 0])
    assert -log_prob.mean().item() == pytest.approx(entropy.item(), abs=5e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nll_and_its_gradients_are_finite_at_the_bounds(dtype):
    sampler = wide().to(dtype)
    observations = torch.zeros(2, 4, dtype=dtype)
    actions = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 0.0, 1.0]], dtype=dtype)
    nll = sampler.nll(observations, actions, noise())
    nll.sum().backward()
    assert torch.isfinite(nll).all()
    assert all(torch.isfinite(p.grad).all() for p in sampler.parameters())


def test_log_prob_is_exact_far_out():
    # 1 - tanh(u)^2 = 4 exp(-2u) up to a relative 2 exp(-2u); in float32 tanh(20) is 1.
    sampler = policy(20.0, 0.0).float()
    _, log_prob = sampler.sample_log_prob(ONE.float(), GeneratorNoise(torch.Generator()), 1)
    z = GeneratorNoise(torch.Generator()).normal(1, 1, 1)
    slope = math.log(4.0) - 2 * (20.0 + z)
    expected = -0.5 * z.square() - 0.5 * math.log(2 * math.pi) - slope
    torch.testing.assert_close(log_prob, expected[..., 0])


def test_nll_is_minus_log_prob_summed_or_averaged():
    summed, averaged = wide(), wide(reduction="mean")
    observations = torch.randn(5, 4, dtype=torch.float64)
    actions = torch.rand(5, 3, dtype=torch.float64) - 0.5
    log_prob = summed.log_prob(observations, actions)
    torch.testing.assert_close(summed.nll(observations, actions, noise()), -log_prob)
    torch.testing.assert_close(averaged.nll(observations, actions, noise()), -log_prob / 3)
    torch.testing.assert_close(averaged.log_prob(observations, actions), log_prob)


def test_log_std_stays_in_its_bounds():
    low, high = policy(0.0, -50.0), policy(0.0, 50.0)
    for sampler, log_std in ((low, -20.0), (high, 2.0)):
        u = sampler.sample(ONE, noise(), 3).atanh()
        expected = math.exp(log_std) * noise().normal(3, 1, 1)
        torch.testing.assert_close(u.clamp(-5, 5), expected.clamp(-5, 5))


def test_mode_is_tanh_of_the_mean_and_the_std_may_be_a_parameter():
    sampler = wide(std="state_independent")
    observations = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(sampler.mode(observations), sampler.net(observations).tanh())
    assert sampler.log_std.shape == (3,)
    sampler.nll(observations, torch.zeros(5, 3).double(), noise()).sum().backward()
    assert sampler.log_std.grad.abs().min() > 0


def test_bounds_must_be_ordered():
    with pytest.raises(ValidationError, match="min_log_std must be below"):
        TanhGaussianConfig(min_log_std=2.0)
