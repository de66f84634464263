"""IDQL's residual denoiser by hand, its dropout, and what its chain clips and adds."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from zoo_core import GeneratorNoise, Space
from zoo_core.builtin.ddpm import DDPMConfig
from zoo_core.diffusion import DiffusionSampler
from zoo_core.nn import DenoiserResidual, LearnedFourierFeatures

SPACE = Space(4, 2)


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)


def denoiser(**options):
    torch.manual_seed(0)
    return DenoiserResidual(*SPACE, hidden=8, blocks=2, time_dim=6, **options).double()


def inputs(rows=5):
    torch.manual_seed(1)
    times = torch.randint(5, (rows,))
    return torch.randn(rows, 4).double(), torch.randn(rows, 2).double(), times


def sampler(**options):
    torch.manual_seed(0)
    config = DDPMConfig(network="residual", hidden=8, time_dim=6, **options)
    return DiffusionSampler(config, SPACE).double()


@pytest.mark.parametrize("activation", ["silu", "mish"])
def test_it_is_the_formula(activation):
    own, (observations, actions, times) = denoiser(activation=activation), inputs()
    act = {"silu": F.silu, "mish": F.mish}[activation]
    angles = 2 * torch.pi * times[:, None] * own.embedding.frequencies
    features = torch.cat((angles.cos(), angles.sin()), -1)
    context = own.time_out(act(own.time_in(features)))
    x = F.linear(torch.cat((actions, observations, context), -1), own.first.weight, own.first.bias)
    for block in own.blocks:
        centred = x - x.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        normed = block.norm.weight * centred / spread + block.norm.bias
        x = x + block.contract(act(block.expand(normed)))
    torch.testing.assert_close(own(observations, actions, times), own.last(act(x)))


def test_conditioned_is_the_same_function():
    own, (observations, actions, _) = denoiser(), inputs()
    candidates = torch.stack([actions, -actions])
    visited = torch.tensor([4.0, 0.0]).double()
    kept, plain = own.conditioned(observations, visited), own.conditioned(observations)
    for k, time in enumerate(visited.tolist()):
        times = torch.full((2, 5), time).double()
        expected = own(observations.expand(2, -1, -1), candidates, times)
        torch.testing.assert_close(kept(candidates, k), expected)
        torch.testing.assert_close(plain(candidates, time), expected)


def test_frequencies_are_learned_and_small():
    torch.manual_seed(0)
    features = LearnedFourierFeatures(4000)
    assert [name for name, _ in features.named_parameters()] == ["frequencies"]
    assert float(features.frequencies.detach().std()) == pytest.approx(0.2, rel=0.05)
    for size in (0, 3):
        with pytest.raises(ValueError, match="even"):
            LearnedFourierFeatures(size)


def test_dropout_is_in_training_alone():
    plain, dropping = sampler(), sampler(dropout=0.5)
    observations, actions, _ = inputs()
    errors = [own.nll(observations, actions, noise()) for own in (plain, dropping)]
    assert not torch.allclose(*errors)
    estimates = [own.reconstruct(observations, actions, noise())[1] for own in (plain, dropping)]
    torch.testing.assert_close(estimates, errors)
    torch.testing.assert_close(
        dropping.sample(observations, noise(), 3), plain.sample(observations, noise(), 3)
    )


@pytest.mark.parametrize("network", ["mlp", "unet"])
def test_other_networks_refuse_dropout(network):
    with pytest.raises(ValidationError, match="dropout needs the network 'residual'"):
        DDPMConfig(network=network, dropout=0.1)


def test_the_noised_action_is_clipped_where_asked():
    seen = {}
    for clips in (False, True):
        own = sampler(clip_noised=clips, clip_denoised=False, variance="beta", steps=10)
        visited = seen.setdefault(clips, [])

        class Spy(torch.nn.Module):
            """Predicts no noise, so that the chain grows."""

            def conditioned(self, observations, times, visited=visited):
                def network(x, k):
                    visited.append(float(x.abs().max()))
                    return torch.zeros_like(x)

                return network

        own.denoiser = Spy()
        assert float(own.sample(torch.zeros(50, 4).double(), noise()).abs().max()) <= 1.0
    # The first is pure noise.
    assert max(seen[True][1:]) <= 1.0 < max(seen[False][1:])
    assert seen[True][0] == seen[False][0] > 1.0


def test_the_added_variance():
    constants = sampler(steps=10).process.constants
    for variance, expected in (("beta", constants.betas), ("posterior", None)):
        added = torch.tensor(sampler(steps=10, variance=variance).own_solver.added_std)
        wanted = constants.posterior_variance if expected is None else expected
        torch.testing.assert_close(
            added[1:].double().square(), wanted[1:].double(), rtol=1e-5, atol=0
        )
    # The posterior's is the less of the two: what x_0 tells is no longer uncertain.
    assert bool((constants.posterior_variance < constants.betas).all())
