import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from zoo_bcq.perturbed import Perturbed, PerturbedConfig

from zoo_core import Agent, GeneratorNoise, Space, ZooError, resolve
from zoo_core.testing import checks_of


@pytest.mark.parametrize(
    "check", checks_of("bcq") + checks_of("perturbed") + checks_of("dpg"), ids=str
)
def test_conformance(check):
    check()


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 2), st.floats(-6, 6), st.integers(0, 10_000))
def test_the_perturbation_stays_in_its_bound(phi, log_scale, seed):
    """Whatever the weights, observations and actions: within phi, and within [-1, 1]."""
    config = PerturbedConfig(phi=phi, hidden=4, perturbation_hidden=8)
    generator = torch.Generator().manual_seed(seed)
    sampler = Perturbed(config, Space(3, 2)).double()
    with torch.no_grad():
        for parameter in sampler.perturbation.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(math.exp(log_scale) * draw)
        observations = 10 * torch.randn(16, 3, generator=generator).double()
        actions = 2 * torch.rand(5, 16, 2, generator=generator).double() - 1
        moved = sampler.perturbation(observations, actions)
    assert float((moved - actions).abs().max()) <= phi + 1e-12
    assert float(moved.abs().max()) <= 1.0


def test_the_bound_is_attained():
    sampler = Perturbed(PerturbedConfig(phi=0.3, hidden=4), Space(3, 2)).double()
    with torch.no_grad():
        sampler.perturbation.net.rest[-1].bias.copy_(torch.tensor([1e3, -1e3]))
        moved = sampler.perturbation(torch.zeros(2, 3).double(), torch.zeros(2, 2).double())
    torch.testing.assert_close(moved, torch.tensor([[0.3, -0.3]] * 2).double())


def test_the_target_has_the_live_vae_and_an_averaged_perturbation():
    agent = Agent(resolve("bcq", ["sampler.hidden=8", "critic.hidden=8"]), Space(3, 2))
    live, target = agent.part("sampler"), agent.part("target.sampler")
    shared = {id(p) for p in live.parameters()} & {id(p) for p in target.parameters()}
    assert shared == {id(p) for p in live.vae.parameters()}


def test_acts_by_the_first_critic_among_the_candidates():
    recipe = resolve("bcq", ["sampler.hidden=8", "critic.hidden=8", "sampler.phi=2.0"])
    agent = Agent(recipe, Space(3, 2), seed=3)
    observations = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))

    def noise():
        return GeneratorNoise(torch.Generator().manual_seed(1))

    candidates = agent.part("sampler").sample(observations, noise(), 100)
    q = agent.part("critic").q(observations, candidates)[0]
    expected = torch.stack([candidates[q[:, i].argmax(), i] for i in range(5)])
    torch.testing.assert_close(agent.act(observations, noise()), expected)


@pytest.mark.parametrize(
    "assignment",
    [
        "mix=1.5",
        "candidates=0",
        "sampler.phi=-0.1",
        "lr=0",
        "tau=0",
        "discount=1.1",
    ],
)
def test_refuses_values_without_meaning(assignment):
    with pytest.raises(ZooError, match=f"^{assignment.partition('=')[0]}: input should be"):
        resolve("bcq", [assignment])


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        (
            "bcq",
            "sampler.perturbation_hidden=[8]",
            "sampler: perturbation_hidden has 1 widths for 2 layers",
        ),
        (
            "bcq",
            "train.perturbation.dpg=nll",
            "act 'best_of_100' reads 'sampler.perturbation', which no update trains: cloning "
            "leaves it out of sampler 'perturbed'; set sampler to another sampler",
        ),
    ],
)
def test_refuses_what_cannot_work_by_the_whole_sentence(name, assignment, message):
    with pytest.raises(ZooError) as caught:
        resolve(name, [assignment])
    assert str(caught.value) == message


def test_widths_go_with_layers():
    with pytest.raises(ValidationError, match="perturbation_hidden has 1 widths for 2 layers"):
        PerturbedConfig(perturbation_hidden=(8,))
