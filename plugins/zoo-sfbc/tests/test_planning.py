"""In-sample planning against its definition, written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo_sfbc.config import SfBCConfig
from zoo_sfbc.planning import ROWS, Plan, Scale, planned, soft_values

from zoo_core import Agent, GeneratorNoise, OfflineData, Trainer, drawn_actions, resolve
from zoo_core.testing import toy_data

SMALL = ["sampler.hidden=8", "critic.hidden=8", "batch_size=8", "samples=3", "sampler.steps=3"]


def episodes(lengths, terminated, seed=0):
    generator = torch.Generator().manual_seed(seed)
    count = sum(lengths)
    flags = torch.zeros(2, count, dtype=torch.bool)
    for end, stops in zip(torch.tensor(lengths).cumsum(0) - 1, terminated, strict=True):
        flags[0 if stops else 1, end] = True
    data = OfflineData(
        torch.randn(count + len(lengths), 3, generator=generator),
        2 * torch.rand(count, 2, generator=generator) - 1,
        torch.randn(count, generator=generator),
        *flags,
        torch.tensor(lengths),
    )
    return data, torch.randn(count + len(lengths), generator=generator, dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=4),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
    st.integers(0, 100),
)
def test_planned_values_take_the_best_time_to_stop(shape, discount, valued, bootstrap, seed):
    """R_t is the best of all partial returns, each continued by the value where it stops."""
    lengths, terminated = zip(*shape, strict=True)
    data, values = episodes(lengths, terminated, seed)
    rewards = data.rewards.double()
    result = planned(rewards, data, discount, values if valued else None, bootstrap)
    for episode, length in enumerate(lengths):
        first, row = int(data.starts[episode]), int(data.starts[episode]) + episode
        for t in range(length):

            def partial(stop, first=first, t=t):
                return sum(discount ** (i - t) * rewards[first + i] for i in range(t, stop))

            ends = [partial(length)]
            if valued:
                inside = range(t + 1, length)
                if bootstrap and not terminated[episode]:
                    ends, inside = [], range(t + 1, length + 1)
                ends += [partial(k) + discount ** (k - t) * values[row + k] for k in inside]
            torch.testing.assert_close(result[first + t], max(ends), rtol=1e-9, atol=1e-9)


def plan_of(**settings):
    return Plan(SfBCConfig(discount=0.9, normalize_returns=False, **settings))


def agent_of(*assignments):
    return Agent(resolve("sfbc", [*SMALL, *assignments]), toy_data().space, dtype=torch.float64)


def test_the_value_is_between_the_mean_and_the_best_of_the_drawn_actions():
    agent, data = agent_of(), toy_data()
    noise = GeneratorNoise(torch.Generator().manual_seed(0), torch.float64)
    with torch.no_grad():
        drawn = drawn_actions(agent, data, noise, 5)
        assert drawn.shape == (len(data.observations), 5, 2)
        drawn = drawn.clamp(-1, 1)
        q = agent.part("critic").q(data.observations.double(), drawn.transpose(0, 1))[0]
        flat, sharp = (soft_values(agent, data, drawn, alpha) for alpha in (1e-9, 1e9))
        between = soft_values(agent, data, drawn, 20.0)
    torch.testing.assert_close(flat, q.mean(0))
    torch.testing.assert_close(sharp, q.amax(0))
    torch.testing.assert_close(between, ((20 * q).exp() * q).sum(0) / (20 * q).exp().sum(0))


def test_chunks_make_no_difference(monkeypatch):
    agent, data = agent_of(), toy_data()
    assert len(data.observations) < ROWS
    drawn = torch.rand(len(data.observations), 4, 2, dtype=torch.float64)
    whole = soft_values(agent, data, drawn, 2.0)
    monkeypatch.setattr("zoo_sfbc.planning.ROWS", 7)
    torch.testing.assert_close(soft_values(agent, data, drawn, 2.0), whole)


@pytest.mark.parametrize("normalize", [True, False])
def test_rounds_keep_what_was_drawn_and_normalise_what_the_critic_learns(normalize):
    recipe = resolve("sfbc", [*SMALL, "steps=12", "rounds=3", f"normalize_returns={normalize}"])
    trainer = Trainer(recipe, toy_data(), dtype=torch.float64)
    rows, seen = trainer.data.rows, []
    steps = [sum(s.steps for s in recipe.stages[: k + 1]) for k in range(4)]
    for stage in (1, 2, 3):
        trainer.run(until=steps[stage])
        columns = dict(trainer.columns[0])
        returns, targets = columns["returns"][rows], columns["targets"][rows]
        scale = Scale.of(returns) if normalize else Scale(0.0, 1.0)
        torch.testing.assert_close(targets * scale.std + scale.mean, returns)
        seen.append(columns)
    assert "drawn" not in seen[0]
    assert torch.equal(seen[1]["drawn"], seen[2]["drawn"])
    assert not torch.equal(seen[1]["returns"], seen[2]["returns"])


def test_rewards_are_rescaled_before_they_are_summed():
    plan, data = plan_of(floor=False), toy_data()
    agent = agent_of("reward=minus_one")
    agent.fit_scaling(data)
    noise = GeneratorNoise(torch.Generator(), torch.float64)
    returns = plan.prepare(agent, data, noise)["returns"][data.rows]
    torch.testing.assert_close(returns, planned(data.rewards.double() - 1, data, 0.9, None, True))


def test_the_floor_is_the_value_of_the_observation():
    agent, data = agent_of(), toy_data()
    drawn = torch.rand(len(data.observations), 4, 2, dtype=torch.float64)
    first = {"drawn": drawn, "returns": torch.zeros(len(data.observations))}
    later = OfflineData(**{**vars(data), "columns": first})
    plain, floored = (
        plan_of(floor=floor).prepare(agent, later, None)["returns"][data.rows]
        for floor in (False, True)
    )
    values = soft_values(agent, data, drawn, 20.0)[data.rows]
    assert bool((plain < values).any())
    torch.testing.assert_close(floored, plain.maximum(values))


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_what_the_critic_learns_does_not_depend_on_the_unit_of_rewards(unit):
    def targets(unit):
        agent, data = agent_of(), toy_data()
        data.rewards[:] *= unit
        return Plan(SfBCConfig()).prepare(agent, data, None)["targets"]

    torch.testing.assert_close(targets(unit), targets(1.0), rtol=1e-5, atol=1e-5)
    assert float(targets(unit).std()) > 0.5


def test_equal_returns_are_zero_to_the_critic():
    for value in (0.0, 1e-12, 1.0):
        scale = Scale.of(torch.full((5,), value, dtype=torch.float64), unit=value)
        assert ((value - scale.mean) / scale.std) == pytest.approx(0.0, abs=1e-6)
