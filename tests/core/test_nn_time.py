"""Time embeddings and noise schedules against their definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import vmap

from zoo_core.nn import (
    RandomFourierFeatures,
    ScheduleName,
    SinusoidalEmbedding,
    TimeEmbedding,
    betas,
    cosine_betas,
    diffusion_coefficients,
    linear_betas,
    vp_betas,
)

names = st.sampled_from(["linear", "cosine", "vp"])


def test_sinusoidal_embedding_is_the_formula() -> None:
    embedding = SinusoidalEmbedding(16)
    t = 3
    angles = [t * math.exp(-i * math.log(10000) / 7) for i in range(8)]
    expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    ours = embedding(torch.tensor(t)).double()
    torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.float64))
    assert embedding(torch.arange(6).view(2, 3)).shape == (2, 3, 16)
    assert not list(embedding.parameters())


@pytest.mark.parametrize("size", [0, 2, 5])
def test_sinusoidal_embedding_refuses_odd_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="even"):
        SinusoidalEmbedding(size)


def test_random_fourier_features() -> None:
    features = RandomFourierFeatures(8, scale=2.0)
    assert "frequencies" in features.state_dict() and not list(features.parameters())
    y = features(torch.rand(3, 5))
    assert y.shape == (3, 5, 8)
    torch.testing.assert_close(y[..., :4].square() + y[..., 4:].square(), torch.ones(3, 5, 4))
    with pytest.raises(ValueError, match="even"):
        RandomFourierFeatures(3)


def test_time_embedding() -> None:
    embedding = TimeEmbedding(8)
    shapes = {name: tuple(p.shape) for name, p in embedding.named_parameters()}
    assert shapes == {
        "expand.weight": (16, 8),
        "expand.bias": (16,),
        "contract.weight": (8, 16),
        "contract.bias": (8,),
    }
    times = torch.arange(5)
    each = torch.stack([embedding(t) for t in times])
    torch.testing.assert_close(embedding(times), each)
    torch.testing.assert_close(vmap(embedding)(times), each)
    assert TimeEmbedding(8, RandomFourierFeatures(8))(torch.rand(4)).shape == (4, 8)


def test_linear_betas() -> None:
    b = linear_betas(5)
    assert b.dtype == torch.float64
    torch.testing.assert_close(
        b, torch.tensor([0.0001, 0.005075, 0.01005, 0.015025, 0.02]).double()
    )


def test_vp_betas() -> None:
    expected = [1 - math.exp(-0.1 / 5 - 0.5 * 9.9 * (2 * t - 1) / 25) for t in range(1, 6)]
    torch.testing.assert_close(vp_betas(5), torch.tensor(expected, dtype=torch.float64))


def test_cosine_betas() -> None:
    def cumulated(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    expected = [min(1 - cumulated((t + 1) / 5) / cumulated(t / 5), 0.999) for t in range(5)]
    torch.testing.assert_close(cosine_betas(5), torch.tensor(expected, dtype=torch.float64))


@given(names, st.integers(1, 1000))
def test_coefficients_follow_from_betas(name: ScheduleName, steps: int) -> None:
    b = betas(name, steps)
    c = diffusion_coefficients(b)
    assert b.shape == (steps,) and b.dtype == torch.float64 and bool((b > 0).all())
    one = torch.ones((), dtype=torch.float64)
    torch.testing.assert_close(c.alphas_cumprod[-1], c.alphas.prod())
    assert c.posterior_variance[0] == 0 and c.posterior_mean_x[0] == 0
    torch.testing.assert_close(c.posterior_mean_x0[0], one, rtol=1e-9, atol=1e-9)
    # Noising x_0 to x_t and stepping back gives the law of x_{t-1}: its mean and its variance.
    mean = c.posterior_mean_x0 + c.posterior_mean_x * c.alphas_cumprod.sqrt()
    torch.testing.assert_close(mean, c.alphas_cumprod_before.sqrt(), rtol=1e-9, atol=1e-9)
    variance = c.posterior_variance + c.posterior_mean_x.square() * (1 - c.alphas_cumprod)
    torch.testing.assert_close(variance, 1 - c.alphas_cumprod_before, rtol=1e-9, atol=1e-9)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no noise schedule"):
        betas("quadratic", 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one step"):
        betas("linear", 0)
    for bad in (torch.tensor([0.5, 1.0]), torch.tensor([0.0]), torch.tensor(0.5)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            diffusion_coefficients(bad)
