"""Acting: which candidate is chosen, and how often."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_core import Act, Agent, GeneratorNoise, Incompatible, Solver, Space, UnknownName, resolve
from zoo_core.acting import choose, gumbel

ROWS = 20_000
VALUES = (0.0, 1.0, -0.5, 0.7)


def candidates(n):
    """Candidate k is the action [k / 10, row's number]."""

    def sample(observations, noise, count):
        assert count == n
        rows = torch.arange(len(observations)).float()
        ks = torch.arange(n).float() / 10
        return torch.stack([ks[:, None].expand(n, len(rows)), rows.expand(n, -1)], -1)

    return SimpleNamespace(sample=sample, mode=lambda o: torch.full((len(o), 2), 0.25))


def critic(*members):
    """Scores candidate k by its place in each member's list."""

    def q(observations, actions):
        index = (actions[..., 0] * 10).round().long()
        return torch.stack([torch.tensor(member)[index] for member in members])

    return SimpleNamespace(q=q)


def chosen(members=(VALUES,), rows=ROWS, seed=0, **settings):
    """Which candidate each row takes."""
    n = len(members[0])
    parts = {"sampler": candidates(n), "critic": critic(*members)}
    agent = SimpleNamespace(part=parts.__getitem__)
    act = Act(n=n, score="critic", **settings)
    noise = GeneratorNoise(torch.Generator().manual_seed(seed))
    actions = choose(agent, act, torch.zeros(rows, 1), noise)
    assert actions.shape == (rows, 2)
    assert torch.equal(actions[:, 1], torch.arange(rows).float())  # each row keeps its own
    return (actions[:, 0] * 10).round().long()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_a_softmax_takes_each_candidate_as_often_as_it_should(temperature):
    counts = torch.bincount(chosen(choose="softmax", temperature=temperature), minlength=4)
    expected = ROWS * (torch.tensor(VALUES) / temperature).softmax(0)
    chi_square = float(((counts - expected).square() / expected).sum())
    assert chi_square < 16.3  # 0.999 of chi-square with three degrees of freedom


def test_a_hot_softmax_is_uniform_and_a_cold_one_is_argmax():
    hot = torch.bincount(chosen(choose="softmax", temperature=1e6), minlength=4)
    assert int((hot - ROWS / 4).abs().max()) < 5 * math.sqrt(ROWS * 3 / 16)
    assert bool((chosen(choose="softmax", temperature=1e-4) == 1).all())


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=6, unique=True))
def test_argmax_takes_the_best(values):
    best = values.index(max(values))
    assert bool((chosen((values,), rows=3, choose="argmax") == best).all())


@pytest.mark.parametrize(("reduce", "best"), [("min", 2), ("mean", 1), ("first", 0)])
def test_members_become_one_score_as_the_act_says(reduce, best):
    members = ((3.0, 2.9, 1.0), (-3.0, 0.5, 1.0))
    assert bool((chosen(members, rows=3, choose="argmax", reduce=reduce) == best).all())


def without_score(how, sampler):
    agent = SimpleNamespace(part=lambda name: sampler)
    return choose(agent, Act(choose=how, n=2), torch.zeros(4, 1), None)


def test_a_sample_is_the_first_candidate_and_the_mode_needs_no_draw():
    first, mode = candidates(2).sample(torch.zeros(4, 1), None, 2)[0], torch.full((4, 2), 0.25)
    assert torch.equal(without_score("sample", candidates(2)), first)
    assert torch.equal(without_score("mode", candidates(2)), mode)
    assert torch.equal(without_score("mode_or_sample", candidates(2)), mode)
    modeless = SimpleNamespace(sample=candidates(2).sample)
    assert torch.equal(without_score("mode_or_sample", modeless), first)


def test_gumbel_numbers_are_finite_and_have_their_moments():
    ends = SimpleNamespace(uniform=lambda *shape: torch.tensor([0.0, 1.0 - 2**-24, 1.0]))
    assert bool(torch.isfinite(gumbel(ends, 3)).all())
    numbers = gumbel(GeneratorNoise(torch.Generator().manual_seed(0)), 100_000)
    assert float(numbers.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(numbers.var()) == pytest.approx(math.pi**2 / 6, abs=0.05)


def test_an_agent_acts_in_bounds_on_raw_observations_by_named_acts():
    recipe = resolve("bc", ["normalize_observations=true", "sampler.hidden=8"])
    agent = Agent(recipe, Space(3, 2))
    agent.observation_mean.fill_(5.0)
    agent.observation_std.fill_(2.0)
    raw = torch.randn(50, 3, dtype=torch.float64)
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    mode = agent.act(raw, noise)
    normalised = ((raw - 5.0) / 2.0).float()
    torch.testing.assert_close(mode, agent.part("sampler").mode(normalised))
    sampled = agent.act(raw, noise, act="sample")
    assert not torch.equal(sampled, mode)
    assert float(sampled.abs().max()) <= 1.0
    with pytest.raises(UnknownName, match="mode"):
        agent.act(raw, noise, act="mod")


def pairs(**settings):
    """The action of each row that averages two candidates, as the sum of their numbers."""
    parts = {"sampler": candidates(4), "critic": critic(VALUES)}
    agent = SimpleNamespace(part=parts.__getitem__)
    act = Act(n=4, score="critic", average=2, **settings)
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    actions = choose(agent, act, torch.zeros(ROWS, 1), noise)
    return (actions[:, 0] * 20).round().long()


def test_an_average_of_the_best_candidates():
    assert set(pairs(choose="argmax").tolist()) == {1 + 3}


def test_an_average_of_candidates_drawn_without_replacement():
    p = torch.tensor(VALUES).softmax(0).double()
    expected = torch.zeros(6, dtype=torch.float64)
    for first in range(4):
        for second in range(4):
            if second != first:
                expected[first + second] += p[first] * p[second] / (1 - p[first])
    expected = ROWS * expected[1:]
    counts = torch.bincount(pairs(choose="softmax"), minlength=6)[1:]
    chi_square = float(((counts - expected).square() / expected).sum())
    assert chi_square < 18.5  # 0.999 of chi-square with four degrees of freedom


def test_an_average_needs_as_many_candidates():
    with pytest.raises(ValueError, match="average of 3 candidates needs n"):
        Act(n=2, score="critic", choose="argmax", average=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"choose": "sample", "n": 4, "average": 2}, "an average needs choose to be argmax"),
        ({"choose": "mode", "solver": Solver(name="ddim")}, "leave solver and scale out"),
        ({"choose": "mode", "scale": 0.0}, "leave solver and scale out"),
    ],
)
def test_an_act_refuses_what_it_would_ignore(settings, message):
    with pytest.raises(ValueError, match=message):
        Act(**settings)


@pytest.mark.parametrize("expectile", [0.5, 0.7, 0.95])
def test_an_expectile_weighs_candidates_above_and_below_the_value(expectile):
    """V = 0.5, so that the second and the last of VALUES are above."""
    n = len(VALUES)
    value = SimpleNamespace(v=lambda observations: torch.full((len(observations),), 0.5))
    parts = {"sampler": candidates(n), "critic": critic(VALUES), "value": value}
    act = Act(n=n, score="critic", choose="expectile", expectile=expectile)
    agent = SimpleNamespace(part=parts.__getitem__)
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    actions = choose(agent, act, torch.zeros(ROWS, 1), noise)
    counts = torch.bincount((actions[:, 0] * 10).round().long(), minlength=n)
    weights = torch.where(torch.tensor(VALUES) > 0.5, expectile, 1 - expectile)
    expected = ROWS * weights / weights.sum()
    chi_square = float(((counts - expected).square() / expected).sum())
    assert chi_square < 16.3  # 0.999 of chi-square with three degrees of freedom


def test_an_expectile_needs_a_value():
    with pytest.raises(Incompatible, match=r"compares with 'value', but the parts are"):
        resolve("td3_bc", {"acts.mode.choose": "expectile", "acts.mode.score": "target.critic"})
