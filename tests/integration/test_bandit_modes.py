"""Cloning the four-mode bandit: a diffusion finds the modes, a Gaussian lies between them."""

import pytest
import torch

import zoo_core
from zoo_leaderboard.datasets.embedded import bandit
from zoo_leaderboard.datasets.embedded.bandit_env import CENTRES

SAMPLES = 10_000
REACH = 5 * bandit.SPREAD
"""How far from its centre a mode ends: five standard deviations, a sixth of the way to the next."""


@pytest.fixture(scope="module")
def data():
    names = ("observations", "actions", "rewards", "terminations", "truncations")
    arrays = ({name: getattr(episode, name) for name in names} for episode in bandit.episodes())
    return zoo_core.OfflineData.from_episodes(arrays, "zoo/bandit/modes-v0")


def weights(actions):
    """The share of actions within reach of each centre, [4]."""
    distances = torch.cdist(actions, torch.as_tensor(CENTRES, dtype=actions.dtype))
    return (distances < REACH).double().mean(0)


def cloned(data, algorithm, seed, *settings):
    """10,000 actions of a cloned policy."""
    recipe = zoo_core.resolve(algorithm, [*settings, "batch_size=256"])
    agent = zoo_core.Trainer(recipe, data, seeds=(seed,)).run().agent()
    noise = zoo_core.GeneratorNoise(torch.Generator().manual_seed(seed))
    return agent.act(torch.zeros(SAMPLES, 1), noise, act="sample")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_diffusion_puts_the_datas_weight_on_each_mode(data, seed):
    actions = cloned(
        data,
        "diffusion_bc",
        seed,
        "steps=1000",
        "sampler.hidden=64",
        "sampler.steps=50",
        'train.actor.optimizer.sampler.lr={"shape": "cosine", "start": 0.01}',
    )
    difference = weights(actions) - weights(data.actions)
    assert float(difference.abs().max()) < 0.05
    assert float(weights(actions).sum()) > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_gaussian_puts_a_fifth_and_more_outside_all_modes(data, seed):
    actions = cloned(data, "bc", seed, "steps=300", "sampler.hidden=64", "lr=0.01")
    assert 1.0 - float(weights(actions).sum()) > 0.2
    # It did learn: its moments are the data's.
    assert float(actions.mean(0).abs().max()) < 0.1
    assert float(actions.std(0).min()) > 0.5


def test_the_data_has_a_quarter_in_each_mode(data):
    torch.testing.assert_close(
        weights(data.actions), torch.full((4,), 0.25).double(), atol=1e-3, rtol=0
    )
