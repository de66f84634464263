"""Diagnostics: closed forms of Q's range, of the distance between actions, and of the alarm."""

import math

import pytest
import torch

from zoo_core import (
    Act,
    Adam,
    Agent,
    AlgorithmConfig,
    AlgorithmSpec,
    Citation,
    Ema,
    GeneratorNoise,
    Part,
    Stage,
    Term,
    Update,
    hookimpl,
    load,
    resolve,
)
from zoo_core.diagnostics import (
    Diagnosis,
    Range,
    action_distance,
    alarm,
    diagnose,
    diagnose_policy,
    probe,
    value_range,
)
from zoo_core.registry import Plugin
from zoo_core.testing.data import toy_data

GAMMA = 0.9
REWARDS = torch.tensor([-1.0, 0.0, 3.0])
NEVER, SOME, ALWAYS = (torch.tensor(ends) for ends in ([0, 0, 0], [0, 0, 1], [1, 1, 1]))


def spec(name, sampler, losses, **parts):
    """An algorithm of these losses, all in one update."""
    trains = {part: Adam() for part in ("sampler", *(["critic"] if "critic" in parts else []))}
    update = Update("all", trains, losses)
    emas = (Ema("critic"),) if "critic" in parts else ()
    return AlgorithmSpec(
        name=name,
        config=AlgorithmConfig,
        cite=Citation("Made up", "Nobody", 2026, "https://example.org"),
        parts=lambda config: {"sampler": Part(sampler, hidden=8), **parts},
        stages=lambda config: (Stage("train", config.steps, (update,), emas),),
        acts=lambda config: (Act(choose="mode"), Act(name="draw")),
    )


class MadeUp:
    @hookimpl
    def zoo_algorithms(self):
        critic = Part("twin_q", hidden=8)
        plain = (Term("td", discount=GAMMA, next="sampler"), Term("nll"))
        soft = (Term("soft_td", discount=GAMMA), Term("nll"))
        return [
            spec("cloning", "deterministic", (Term("nll"),)),
            spec("plain", "deterministic", plain, critic=critic),
            spec("soft", "tanh_gaussian", soft, critic=critic, temperature=Part("dual")),
        ]


@pytest.fixture(scope="module")
def registry():
    found = load(only=())
    found.add(MadeUp(), Plugin("made-up", "zoo-made-up", "1.0", "made_up"))
    assert not found.failures
    return found


def noise():
    return GeneratorNoise(torch.Generator().manual_seed(0))


def agent_of(registry, name, data, values=None, **settings):
    """An agent whose critic's members say `values` of everything."""
    agent = Agent(resolve(name, settings, registry=registry), data.space)
    agent.fit_scaling(data)
    agent.eval()
    if values is not None:
        observations, actions = torch.zeros(2, data.space[0]), torch.zeros(2, data.space[1])
        with torch.no_grad():
            for parameter in agent.live["critic"].parameters():
                parameter.zero_()
            biases = [p for p in agent.live["critic"].parameters() if p.numel() == 1]
            for bias, value in zip(biases, values, strict=True):
                bias.fill_(value)
            q = agent.live["critic"].q(observations, actions)
        assert torch.equal(q, torch.tensor(values)[:, None].expand(2, 2))
    return agent


@pytest.mark.parametrize(
    ("rewards", "ends", "discount", "expected"),
    [
        (REWARDS, NEVER, GAMMA, (-10.0, 30.0)),
        (REWARDS + 2.0, NEVER, GAMMA, (10.0, 50.0)),
        (REWARDS + 2.0, SOME, GAMMA, (1.0, 50.0)),  # the least is one reward and the end
        (REWARDS - 5.0, SOME, GAMMA, (-60.0, -2.0)),
        (REWARDS, ALWAYS, GAMMA, (-1.0, 3.0)),
        (REWARDS, ALWAYS, 1.0, (-1.0, 3.0)),
        (REWARDS, SOME, 0.0, (-1.0, 3.0)),
        (REWARDS, SOME, 1.0, None),
    ],
)
def test_the_range_of_discounted_sums(rewards, ends, discount, expected):
    found = value_range(rewards, ends.bool(), discount)
    assert found == (expected and pytest.approx(expected))


def test_no_return_leaves_the_range():
    generator = torch.Generator().manual_seed(0)
    for ends in (NEVER, SOME):
        low, high = value_range(REWARDS, ends.bool(), GAMMA)
        for _ in range(200):
            steps = 400 if ends is NEVER else int(torch.randint(1, 30, (), generator=generator))
            drawn = REWARDS[torch.randint(3, (steps,), generator=generator)]
            value = float((drawn * GAMMA ** torch.arange(steps)).sum())
            assert low - 1e-4 <= value <= high + 1e-4


@pytest.mark.parametrize("dimensions", [1, 6])
def test_the_distance_does_not_grow_with_the_dimensions(dimensions):
    actions = torch.full((5, dimensions), 0.25)
    assert action_distance(actions, actions) == 0.0
    assert action_distance(actions, actions - 0.75) == pytest.approx(0.75)
    assert action_distance(torch.ones(5, dimensions), -torch.ones(5, dimensions)) == 2.0


def test_the_distance_is_a_mean_over_observations_of_roots_of_mean_squares():
    actions = torch.tensor([[0.3, 0.4], [0.0, 0.0]])
    expected = (math.sqrt((0.09 + 0.16) / 2) + 0.0) / 2
    assert action_distance(actions, torch.zeros(2, 2)) == pytest.approx(expected)


def test_every_agent_is_probed_at_the_same_transitions():
    data = toy_data(episodes=40)
    index = probe(data)
    assert torch.equal(index, probe(data))
    assert len(index) == 128 and int(index.min()) >= 0 and int(index.max()) < len(data)
    assert not torch.equal(index, probe(toy_data(episodes=41)))
    assert torch.equal(probe(data, len(data)), torch.arange(len(data)))


@pytest.mark.parametrize(
    ("q_data", "q_policy", "allowed", "expected"),
    [
        (5.0, 14.9, Range(0.0, 10.0), "above"),
        (5.0, 10.9, Range(0.0, 10.0), ""),  # within a tenth of the width
        (-1.1, 0.0, Range(0.0, 10.0), "below"),
        (0.0, 0.0, Range(50.0, 60.0), ""),  # critics begin at 0
        (5e7, 5e7, None, ""),
        (float("nan"), 0.0, None, "not finite"),
        (0.0, float("inf"), Range(0.0, 10.0), "not finite"),
    ],
)
def test_the_alarm_sounds_outside_of_the_range_and_its_margin(q_data, q_policy, allowed, expected):
    line = alarm({"stored actions": q_data, "the policy's actions": q_policy}, allowed)
    assert expected in line
    assert bool(line) == bool(expected)
    assert "\n" not in line


@pytest.mark.parametrize(("q", "sounds"), [(0.05, False), (-0.9, False), (5.0, True), (-1e6, True)])
def test_where_all_rewards_are_zero_a_critic_may_be_near_it(q, sounds):
    assert bool(alarm({"stored actions": q}, Range(0.0, 0.0))) == sounds


def test_the_alarm_names_what_is_furthest_outside():
    line = alarm({"stored actions": 12.0, "the policy's actions": 40.0}, Range(-1.0, 10.0))
    assert line == (
        "Q of the policy's actions is 40 on average, above the -1 to 10 that the rewards allow"
    )


def test_an_agent_of_known_values(registry):
    data = toy_data()
    agent = agent_of(registry, "plain", data, (1.0, 4.0))
    found = diagnose(agent, data, noise())
    assert (found.q_data, found.q_policy) == pytest.approx((2.5, 2.5))
    least, greatest = float(data.rewards.min()), float(data.rewards.max())
    assert least < 0.0
    # Some episodes end for good: the greatest reward, once, is better than any more.
    assert (found.q_low, found.q_high) == pytest.approx((least / (1 - GAMMA), greatest))
    observations = data.observations[data.rows]
    expected = action_distance(agent.act(observations, noise()), data.actions)
    assert found.action_distance == pytest.approx(expected)


def test_the_rewards_are_those_that_the_critic_sees(registry):
    data = toy_data()
    agent = agent_of(registry, "plain", data, (0.0, 0.0), reward="unit_range")
    found = diagnose(agent, data, noise())
    assert (found.q_low, found.q_high) == pytest.approx((-10.0, 10.0))
    assert found.alarm == ""


@pytest.mark.parametrize("value", [1000.0, -1000.0])
def test_a_critic_that_ran_away_sounds_the_alarm(registry, value):
    agent = agent_of(registry, "plain", toy_data(), (value, value), reward="unit_range")
    found = diagnose(agent, toy_data(), noise())
    side = "above" if value > 0 else "below"
    assert f"is {value:g} on average, {side} the -10 to 10" in found.alarm


def test_a_value_that_is_not_finite_is_no_number_but_an_alarm(registry):
    agent = agent_of(registry, "plain", toy_data(), (math.inf, 0.0))
    found = diagnose(agent, toy_data(), noise())
    assert found.q_data is None and found.q_policy is None
    assert found.alarm == "Q of stored actions is not finite"


def test_an_entropy_bonus_widens_the_range(registry):
    """Uniform actions have the greatest entropy, log 2 a dimension."""
    data = toy_data()
    agent = agent_of(registry, "soft", data, (0.0, 0.0), reward="unit_range")
    temperature = float(agent.part("temperature").value())
    found = diagnose(agent, data, noise())
    ahead = GAMMA / (1 - GAMMA)
    bonus = temperature * 2 * math.log(2.0)
    assert found.q_high == pytest.approx(10.0 + ahead * bonus)
    # Nearly all of its mass lies at one action: the entropy is far below 0, and counts.
    with torch.no_grad():
        for parameter in agent.live["sampler"].parameters():
            parameter.zero_()
    sampler = agent.live["sampler"]
    inputs = data.observations[data.rows]
    entropy = -float(sampler.sample_log_prob(inputs, noise())[1].mean())
    found = diagnose(agent, data, noise())
    assert found.q_low == pytest.approx(-10.0 + ahead * temperature * min(entropy, 0.0), rel=0.1)
    plain = diagnose(
        agent_of(
            registry, "soft", data, reward="unit_range", **{"train.all.soft_td.entropy": False}
        ),
        data,
        noise(),
    )
    assert (plain.q_low, plain.q_high) == pytest.approx((-10.0, 10.0))


def test_without_a_critic_there_is_a_distance_alone(registry):
    found = diagnose(agent_of(registry, "cloning", toy_data()), toy_data(), noise())
    assert found == Diagnosis(action_distance=found.action_distance)
    assert 0.0 < found.action_distance < 2.0


def test_another_act_is_another_distance(registry):
    data = toy_data()
    agent = agent_of(registry, "soft", data)
    mode, draw = (diagnose(agent, data, noise(), act).action_distance for act in ("act", "draw"))
    assert mode != draw


def test_a_policy_from_outside_is_compared_with_the_data():
    data = toy_data()
    found = diagnose_policy(lambda o: o.new_full((len(o), 2), 5.0), data)
    expected = action_distance(torch.ones_like(data.actions), data.actions)
    assert found == Diagnosis(action_distance=pytest.approx(expected))


def test_looking_leaves_the_agent_and_the_global_generator_alone(registry):
    agent = agent_of(registry, "soft", toy_data())
    before = {name: tensor.clone() for name, tensor in agent.state_dict().items()}
    state = torch.get_rng_state()
    diagnose(agent, toy_data(), noise())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in agent.state_dict().items())
