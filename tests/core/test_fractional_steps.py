"""Networks of a process in steps are called between the steps at which they were trained."""

import math

import pytest
import torch

from zoo_core import GeneratorNoise, Space
from zoo_core.builtin.dpm_solver import DPMSolverConfig
from zoo_core.builtin.guided import Guided, GuidedConfig
from zoo_core.diffusion import DiffusionSampler

STEPS = [2, 5, 20, 100, 1000]


def roughness(embedding, steps):
    """RMS distance, per feature, of the embedding half-way between two steps from their mean."""
    k = torch.arange(steps - 1, dtype=torch.float64)
    embedding = embedding.double()
    gap = embedding(k + 0.5) - 0.5 * (embedding(k) + embedding(k + 1))
    return float(gap.square().mean().sqrt())


@pytest.mark.parametrize("steps", STEPS)
def test_embedded_times_are_smooth_between_steps(steps):
    torch.manual_seed(0)
    config = GuidedConfig(schedule="vp", trained_steps=steps, network="unet", time_dim=64)
    sampler = Guided(config, Space(3, 2))
    # A feature of f cycles per step is off by 1 - cos(pi f): 0.05 at 0.1, and 1 without relation.
    assert roughness(sampler.prior.denoiser.embedding, steps) < 0.12
    assert roughness(sampler.energy.embedding, steps) < 0.12


@pytest.mark.parametrize("steps", [None, *STEPS])
def test_embedded_times_tell_steps_apart(steps):
    """Continuous time keeps frequencies that turn some 30 times from noise to action."""
    torch.manual_seed(0)
    process = {} if steps is None else {"schedule": "vp", "trained_steps": steps}
    sampler = Guided(GuidedConfig(network="unet", time_dim=64, **process), Space(3, 2))
    times = torch.arange(steps) if steps else torch.linspace(1e-3, 1, 1000)
    for embedding in (sampler.prior.denoiser.embedding, sampler.energy.embedding):
        embedded = embedding(times)
        nearest = torch.cdist(embedded, embedded) + 10 * torch.eye(len(times))
        assert float(nearest.min()) > 0.1
        spread = float(embedding.frequencies.std()) * (1.0 if steps is None else steps)
        assert spread == pytest.approx(30.0 if not steps else min(30.0, 0.1 * steps), rel=0.3)


@pytest.mark.parametrize("steps", [5, 100, 1000])
def test_learned_features_turn_no_more_than_thirty_times_from_noise_to_action(steps):
    torch.manual_seed(0)
    config = DPMSolverConfig(schedule="vp", trained_steps=steps, network="residual", time_dim=128)
    frequencies = DiffusionSampler(config, Space(3, 2)).denoiser.embedding.frequencies
    assert float(frequencies.detach().std()) == pytest.approx(min(0.2, 30 / steps), rel=0.3)


def test_a_unet_trained_at_steps_is_right_between_them():
    """On N(0.2, 0.3^2), against E[epsilon | x_t]; an error of 1 is that of no prediction."""
    torch.manual_seed(0)
    config = DPMSolverConfig(
        schedule="vp", trained_steps=5, network="unet", hidden=32, layers=2, time_dim=32
    )
    sampler = DiffusionSampler(config, Space(1, 1))
    optimizer = torch.optim.Adam(sampler.parameters(), 1e-2, fused=True)
    generator = torch.Generator().manual_seed(1)
    noise, observations = GeneratorNoise(torch.Generator().manual_seed(0)), torch.zeros(64, 1)
    for _ in range(120):
        actions = 0.2 + 0.3 * torch.randn(64, 1, generator=generator)
        optimizer.zero_grad()
        sampler.nll(observations, actions, noise).mean().backward()
        optimizer.step()

    def error(offset):
        squares = []
        for k in range(4):
            alpha = math.exp(sampler.process.log_alpha((k + offset + 1) / 5))
            variance = (0.3 * alpha) ** 2 + 1 - alpha**2
            x = alpha * 0.2 + math.sqrt(variance) * torch.linspace(-2, 2, 41)[:, None]
            with torch.no_grad():
                found = sampler.denoiser(torch.zeros(41, 1), x, torch.full((41,), k + offset))
            exact = math.sqrt(1 - alpha**2) / variance * (x - alpha * 0.2)
            squares.append(float((found - exact).square().mean()))
        return math.sqrt(sum(squares) / len(squares))

    assert max(error(0.0), error(0.25), error(0.5)) < 0.12
