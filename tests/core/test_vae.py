"""The sampler `vae`: its divergence and bound against closed forms and quadrature; its clips."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.distributions import Normal, kl_divergence

from zoo_core import Noise, Space
from zoo_core.builtin.vae import VAE, VAEConfig, divergence
from zoo_core.testing import checks_of

GRID = torch.linspace(-12, 12, 4801, dtype=torch.float64)
STEP = float(GRID[1] - GRID[0])


class Given(Noise):
    """Deals the numbers that it was given."""

    def __init__(self, numbers):
        self.numbers = numbers

    def normal(self, *shape):
        return self.numbers.expand(*shape)


def vae(**options):
    torch.manual_seed(0)
    return VAE(VAEConfig(hidden=16, **options), Space(3, 2)).double()


def pair(rows=1):
    torch.manual_seed(1)
    return torch.randn(rows, 3).double(), (2 * torch.rand(rows, 2) - 1).double()


@pytest.mark.parametrize("check", checks_of("vae"), ids=str)
def test_conformance(check):
    check()


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(-4, 1))
def test_the_divergence_is_the_integral(mean, log_std):
    mean, log_std = torch.tensor([mean, log_std], dtype=torch.float64)
    ours = divergence(mean, log_std)
    q, prior = Normal(mean, log_std.exp()), Normal(0.0, 1.0)
    torch.testing.assert_close(ours, kl_divergence(q, prior), rtol=1e-9, atol=1e-12)
    z = mean + log_std.exp() * GRID
    integrand = q.log_prob(z).exp() * (q.log_prob(z) - prior.log_prob(z))
    integral = integrand.sum() * STEP * log_std.exp()
    torch.testing.assert_close(ours, integral, rtol=1e-9, atol=1e-9)


def test_nll_is_the_negative_elbo_by_quadrature():
    """With a Gaussian decoder of variance v: the expectation of nll / 2v over its noise, plus the
    constant, is -log p(a | s) + KL(q(z | s, a) || p(z | s, a)), both by quadrature."""
    v = 0.3
    sampler = vae(latent_dim=1, reduction="sum", kl_weight=2 * v)
    s, a = pair()
    rows = len(GRID)
    weight = Normal(0.0, 1.0).log_prob(GRID).exp() * STEP
    with torch.no_grad():
        each = sampler.nll(s.expand(rows, -1), a.expand(rows, -1), Given(GRID[:, None]))
        elbo = -(weight * each).sum() / (2 * v) - math.log(2 * math.pi * v)

        decoded = sampler.decode(s.expand(rows, -1), GRID[:, None])
        joint = Normal(decoded, v**0.5).log_prob(a).sum(-1) + Normal(0.0, 1.0).log_prob(GRID)
        evidence = torch.logsumexp(joint, 0) + math.log(STEP)
        mean, log_std = sampler.encode(s, a)
        log_q = Normal(mean[0], log_std[0].exp()).log_prob(GRID)
        gap = (log_q.exp() * (log_q - (joint - evidence))).sum() * STEP
    torch.testing.assert_close(elbo, evidence - gap, rtol=1e-8, atol=1e-8)
    assert float(gap) > 1e-4


def test_reduction_of_the_squared_error():
    s, a = pair(5)
    noise = Given(torch.zeros((), dtype=torch.float64))
    mean, total = (vae(reduction=how, kl_weight=0.0).nll(s, a, noise) for how in ("mean", "sum"))
    torch.testing.assert_close(total, 2 * mean)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 3), st.integers(0, 1000))
def test_sampling_clips_the_latent(clip, seed):
    sampler = vae(latent_clip=clip)
    s, _ = pair(4)
    z = torch.randn(6, 4, 4, generator=torch.Generator().manual_seed(seed)).double()
    expected = sampler.decode(s, z.clamp(-clip, clip)).detach()
    torch.testing.assert_close(sampler.sample(s, Given(z), 6).detach(), expected)
    assert float(expected.abs().max()) <= 1.0
    torch.testing.assert_close(vae(latent_clip=None).sample(s, Given(z), 6), sampler.decode(s, z))


def test_the_log_standard_deviation_stays_in_its_bounds():
    s, a = pair(64)
    for bound, limit in ((-1e3, -4.0), (1e3, 15.0)):
        sampler = vae()
        with torch.no_grad():
            sampler.encoder.rest[-1].bias.fill_(bound)
        assert set(sampler.encode(s, a)[1].flatten().tolist()) == {limit}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"hidden": (8,)}, "1 widths for 2 layers"),
        ({"latent_clip": 0.0}, "latent_clip"),
        ({"kl_weight": -1.0}, "kl_weight"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"min_log_std": 15.0}, "min_log_std"),
    ],
)
def test_refuses_values_without_meaning(options, field):
    with pytest.raises(ValidationError, match=field):
        VAEConfig(**options)
