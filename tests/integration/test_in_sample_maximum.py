"""IQL's value lies where its expectile says, from the mean to the maximum of in-sample returns; its
weights, and IDQL's choice among a cloned diffusion's samples, lead to the best action.

A bandit with one observation and five logged actions, whose rewards are known.
"""

import pytest
import torch

from zoo_core import GeneratorNoise, OfflineData, Trainer, resolve

ACTIONS = torch.tensor([-0.8, -0.4, 0.0, 0.4, 0.8])
REWARDS = torch.tensor([0.0, 0.5, 0.2, 1.0, 0.3])
BEST = float(ACTIONS[REWARDS.argmax()])
SMALL = ("steps=250", "batch_size=50", "lr=1e-2", "tau=0.1", "critic.hidden=32", "value.hidden=8")


def train(algorithm, *settings):
    rows = 50
    index = torch.arange(rows) % 5
    ended = torch.ones(rows, dtype=torch.bool)
    lengths = torch.ones(rows, dtype=torch.int64)
    zeros = torch.zeros(2 * rows, 1)
    data = OfflineData(zeros, ACTIONS[index, None], REWARDS[index], ended, ~ended, lengths)
    recipe = resolve(algorithm, [*SMALL, "sampler.hidden=32", *settings])
    return Trainer(recipe, data).run().agent()


def value(agent):
    with torch.no_grad():
        return float(agent.part("value").v(torch.zeros(1, 1)))


def expectile(tau):
    """m with tau E[(r - m)+] = (1 - tau) E[(m - r)+]."""
    low, high = 0.0, 1.0
    for _ in range(60):
        m = (low + high) / 2
        above, below = (REWARDS - m).clamp(min=0).sum(), (m - REWARDS).clamp(min=0).sum()
        low, high = (m, high) if tau * above > (1 - tau) * below else (low, m)
    return m


def test_the_value_is_the_expectile_of_in_sample_returns():
    mean, most = (value(train("iql", f"expectile={tau}")) for tau in (0.5, 0.99))
    # Batches are draws, and Q is learnt: hence the tolerance.
    assert mean == pytest.approx(float(REWARDS.mean()), abs=0.06)
    assert most == pytest.approx(expectile(0.99), abs=0.06)
    assert most == pytest.approx(float(REWARDS.max()), abs=0.06)


def test_the_weights_pull_the_policy_to_the_best_action():
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    cloned, pulled = (
        float(train("iql", f"beta={b}").act(torch.zeros(1, 1), noise)) for b in (0.0, 10.0)
    )
    assert cloned == pytest.approx(float(ACTIONS.mean()), abs=0.1)
    assert pulled == pytest.approx(BEST, abs=0.1)


def test_idql_clones_all_actions_and_its_critic_picks_the_best():
    settings = ("expectile=0.9", "batch_size=100", "policy_tau=0.05", "lr=5e-3", "steps=400")
    agent = train("idql", *settings, "sampler.time_dim=16", "sampler.dropout=0")

    def shares(act):
        """How often each logged action is the nearest to what the act takes."""
        noise = GeneratorNoise(torch.Generator().manual_seed(0))
        taken = agent.act(torch.zeros(500, 1), noise, act)
        nearest = (taken - ACTIONS).abs().argmin(1)
        return torch.bincount(nearest, minlength=5) / 500

    best = int(REWARDS.argmax())
    cloned, implied, chosen = (shares(act) for act in ("sample", "reweighted", "best_of_64"))
    assert float(cloned.min()) > 0.04
    assert float(chosen[best]) > 0.95
    assert 1.5 * cloned[best] < implied[best] < chosen[best]
