"""CQL's Q bounds the truth from below where SAC's overestimates it; its multiplier holds the gap.

A bandit with one observation and r(a) = height (1 - 2 |a + 0.4|), whose peak is at a = -0.4. The
narrow data lie on one side of it, a in [-0.8, -0.4], where the reward rises; past the peak, where
it falls, nobody has been.
"""

import pytest
import torch

from zoo_core import GeneratorNoise, OfflineData, Trainer, resolve

SMALL = ("batch_size=64", "sampler.hidden=32", "critic.hidden=32")
CQL = ("lr=1e-3", "critic_lr=2e-3", "sampler.layers=2", "critic.layers=2")


def reward(actions, height=1.0):
    return height * (1.0 - 2.0 * (actions[..., 0] + 0.4).abs())


def bandit(low, high, height=1.0, rows=512):
    generator = torch.Generator().manual_seed(0)
    actions = low + (high - low) * torch.rand(rows, 1, generator=generator)
    ended = torch.ones(rows, dtype=torch.bool)
    lengths = torch.ones(rows, dtype=torch.int64)
    observations = torch.zeros(2 * rows, 1)
    return OfflineData(observations, actions, reward(actions, height), ended, ~ended, lengths)


def train(algorithm, data, *settings, steps):
    """The agent, and the metrics of the last tenth of its steps."""
    logs = []
    recipe = resolve(algorithm, [f"steps={steps}", *SMALL, *settings])
    agent = Trainer(recipe, data).run(log=logs.append, log_every=steps // 10).agent()
    return agent, logs[-1].metrics[0]


def noise():
    return GeneratorNoise(torch.Generator().manual_seed(0))


def least_q(agent, actions):
    """The least member's value of actions [k, 1], [k]."""
    with torch.no_grad():
        return agent.part("critic").q(torch.zeros(len(actions), 1), actions).amin(0)


def values(agent, height=1.0):
    """What the policy's actions are worth by its own critic, and in truth."""
    with torch.no_grad():
        actions = agent.part("sampler").sample(torch.zeros(1, 1), noise(), 2000)[:, 0]
    return least_q(agent, actions).mean(), reward(actions, height).mean()


@pytest.fixture(scope="module")
def narrow():
    return bandit(-0.8, -0.4)


UNSEEN = torch.linspace(-0.2, 1.0, 13)[:, None]


def test_sac_on_narrow_data_believes_in_actions_that_nobody_tried(narrow):
    agent, _ = train("sac_off", narrow, "lr=1e-3", steps=700)
    assert (least_q(agent, UNSEEN) > reward(UNSEEN) + 0.3).all()
    believed, true = values(agent)
    assert believed > true + 0.5
    assert reward(agent.act(torch.zeros(1, 1), noise())) < reward(narrow.actions).min()


@pytest.mark.parametrize("regularizer", ["H", "rho"])
def test_cql_is_a_lower_bound_on_narrow_data(narrow, regularizer):
    agent, _ = train("cql", narrow, *CQL, f"regularizer={regularizer}", steps=500)
    assert (least_q(agent, UNSEEN) < reward(UNSEEN)).all()
    believed, true = values(agent)
    assert believed < true
    assert reward(agent.act(torch.zeros(1, 1), noise())) > reward(narrow.actions).mean() - 0.1


@pytest.mark.parametrize("threshold", [5.0, 6.0])
def test_the_multiplier_holds_the_gap_at_its_threshold(threshold):
    """On data of all actions the squared error resists the penalty: left alone, the gap is 7.5."""
    settings = (
        *CQL,
        "min_q_weight=1",
        f"lagrange_threshold={threshold}",
        "policy_eval_start=0",
        "train.actor_critic.optimizer.multiplier.lr=2e-2",
    )
    agent, metrics = train("cql", bandit(-1.0, 1.0, 5.0), *settings, steps=600)
    assert metrics["actor_critic/gap"] == pytest.approx(threshold, abs=0.15)
    assert 0.5 < metrics["actor_critic/multiplier"] < 50.0
    believed, true = values(agent, 5.0)
    assert believed < true


def test_a_threshold_above_the_gap_switches_the_penalty_off():
    settings = (*CQL, "min_q_weight=1", "lagrange_threshold=50", "policy_eval_start=0")
    fast = "train.actor_critic.optimizer.multiplier.lr=2e-2"
    _, metrics = train("cql", bandit(-1.0, 1.0, 5.0), *settings, fast, steps=500)
    assert metrics["actor_critic/multiplier"] < 0.1
    assert 6.5 < metrics["actor_critic/gap"] < 8.5
