"""IQL's value lies where its expectile says, from the mean to the maximum of in-sample returns.

A bandit with one observation and five logged actions, whose rewards are known.
"""

import pytest
import torch

from zoo_core import GeneratorNoise, OfflineData, Trainer, resolve

ACTIONS = torch.tensor([-0.8, -0.4, 0.0, 0.4, 0.8])
REWARDS = torch.tensor([0.0, 0.5, 0.2, 1.0, 0.3])
BEST = float(ACTIONS[REWARDS.argmax()])
SMALL = ("steps=250", "batch_size=50", "lr=1e-2", "tau=0.1", "critic.hidden=32", "value.hidden=8")


def train(*settings):
    rows = 50
    index = torch.arange(rows) % 5
    ended = torch.ones(rows, dtype=torch.bool)
    lengths = torch.ones(rows, dtype=torch.int64)
    zeros = torch.zeros(2 * rows, 1)
    data = OfflineData(zeros, ACTIONS[index, None], REWARDS[index], ended, ~ended, lengths)
    return Trainer(resolve("iql", [*SMALL, "sampler.hidden=32", *settings]), data).run().agent()


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
    mean, most = (value(train(f"expectile={tau}")) for tau in (0.5, 0.99))
    # Batches are draws, and Q is learnt: hence the tolerance.
    assert mean == pytest.approx(float(REWARDS.mean()), abs=0.06)
    assert most == pytest.approx(expectile(0.99), abs=0.06)
    assert most == pytest.approx(float(REWARDS.max()), abs=0.06)


def test_the_weights_pull_the_policy_to_the_best_action():
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    cloned, pulled = (float(train(f"beta={b}").act(torch.zeros(1, 1), noise)) for b in (0.0, 10.0))
    assert cloned == pytest.approx(float(ACTIONS.mean()), abs=0.1)
    assert pulled == pytest.approx(BEST, abs=0.1)
