"""`OfflineData`, reward rules and moments against a slow, obvious reading of the episodes."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core import OfflineData, Space, ZooError
from zoo_core.data import observation_moments, reward_scaling
from zoo_core.testing import toy_data

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)


def episodes_of(lengths, seed=0):
    """Episodes of those lengths, the even ones terminated, the odd ones truncated."""
    generator = torch.Generator().manual_seed(seed)
    episodes = []
    for number, length in enumerate(lengths):
        last = torch.arange(length) == length - 1
        never = torch.zeros(length, dtype=torch.bool)
        episodes.append(
            {
                "observations": torch.randn(length + 1, 3, generator=generator),
                "actions": torch.rand(length, 2, generator=generator) * 2 - 1,
                "rewards": torch.randn(length, generator=generator),
                "terminations": never if number % 2 else last,
                "truncations": last if number % 2 else never,
            }
        )
    return episodes


@settings(max_examples=50, deadline=None)
@given(LENGTHS)
def test_every_transition_finds_its_rows(lengths):
    episodes = episodes_of(lengths)
    data = OfflineData.from_episodes(episodes)
    assert len(data) == sum(lengths)
    assert data.space == Space(3, 2)
    i = 0
    for number, episode in enumerate(episodes):
        assert int(data.starts[number]) == i
        total = float(episode["rewards"].double().sum())
        assert float(data.episode_returns()[number]) == pytest.approx(total, abs=1e-9)
        for step in range(lengths[number]):
            row = int(data.rows[i])
            assert torch.equal(data.observations[row], episode["observations"][step])
            assert torch.equal(data.observations[row + 1], episode["observations"][step + 1])
            assert torch.equal(data.actions[i], episode["actions"][step])
            for name in ("rewards", "terminations", "truncations"):
                assert torch.equal(getattr(data, name)[i], episode[name][step])
            i += 1
    assert int(data.starts[-1]) == i


@settings(max_examples=25, deadline=None)
@given(LENGTHS, st.sampled_from([0.0, 1000.0]))
def test_moments_are_those_of_the_observations_that_start_a_transition(lengths, offset):
    episodes = episodes_of(lengths)
    for episode in episodes:
        episode["observations"] = episode["observations"] + offset
    seen = torch.cat([episode["observations"][:-1] for episode in episodes]).double()
    mean, std = observation_moments(OfflineData.from_episodes(episodes))
    torch.testing.assert_close(mean.double(), seen.mean(0), rtol=1e-6, atol=1e-6)
    expected = seen.std(0, correction=0) + 1e-3
    torch.testing.assert_close(std.double(), expected, rtol=1e-5, atol=1e-7)


def test_moments_are_the_same_in_one_piece_and_in_many():
    rows = (1 << 18) + 10  # more than one chunk
    observations = torch.randn(rows + 1, 1, generator=torch.Generator().manual_seed(0))
    flags = torch.zeros(rows, dtype=torch.bool)
    lengths = torch.tensor([rows])
    data = OfflineData(observations, flags[:, None].float(), flags.float(), flags, flags, lengths)
    mean, std = observation_moments(data)
    assert float(mean) == pytest.approx(float(observations[:-1].double().mean()), abs=1e-7)
    assert float(std) == pytest.approx(float(observations[:-1].double().std(correction=0)) + 1e-3)


def rescaled(data, rule):
    shift, scale = reward_scaling(data, rule)
    return (data.rewards.double() - shift) * scale


def test_reward_rules_are_their_formulas():
    data = toy_data()
    r = data.rewards.double()
    returns = [float(part.sum()) for part in r.split(data.lengths.tolist())]
    for rule, expected in {
        "none": r,
        "standardise": (r - r.mean()) / r.std(),
        "unit_range": 2 * (r - r.min()) / (r.max() - r.min()) - 1,
        "return_range": r * 1000 / (max(returns) - min(returns)),
        "minus_one": r - 1,
        "antmaze": 4 * (r - 0.5),
    }.items():
        torch.testing.assert_close(rescaled(data, rule), expected)


@pytest.mark.parametrize("rule", ["standardise", "unit_range", "return_range"])
def test_equal_rewards_do_not_divide_by_zero(rule):
    episodes = episodes_of([3, 3])
    for episode in episodes:
        episode["rewards"] = torch.ones(3)
    assert bool(torch.isfinite(rescaled(OfflineData.from_episodes(episodes), rule)).all())


def test_the_digest_depends_on_every_number():
    data = toy_data()
    assert data.digest == toy_data().digest
    for name in ("observations", "actions", "rewards", "terminations", "truncations"):
        changed = getattr(data, name).clone()
        changed[-1] = ~changed[-1] if changed.dtype == torch.bool else changed[-1] + 0.5
        assert dataclasses.replace(data, **{name: changed}).digest != data.digest
    swapped = data.lengths.flip(0)
    assert dataclasses.replace(data, lengths=swapped).digest != data.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": torch.zeros(3)}, r"rewards \[3\]"),
        ({"terminations": torch.zeros(3, dtype=torch.bool)}, "terminations"),
        ({"observations": torch.zeros(9, 3)}, "observations"),
        ({"observations": torch.zeros(9)}, "observations"),
        ({"lengths": torch.tensor([1, 2])}, "lengths do not add up"),
        ({"lengths": torch.tensor([39, 0])}, "lengths do not add up"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ZooError, match=message):
        dataclasses.replace(toy_data(), **changes)


def test_no_data_is_refused():
    with pytest.raises(ZooError, match="empty"):
        OfflineData.from_episodes([])
    none = torch.zeros(0)
    with pytest.raises(ZooError, match="empty"):
        OfflineData(none, none, none, none.bool(), none.bool(), none.long())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("observations", float("nan"), "observations has NaN or infinity at row 5"),
        ("rewards", float("inf"), "rewards has NaN or infinity at row 5"),
        ("actions", float("nan"), "actions has NaN or infinity at row 5"),
        ("actions", 1.2, r"actions leave \[-1, 1\]"),
    ],
)
def test_bad_values_are_found(name, value, message):
    data = toy_data()
    data.check_values()
    getattr(data, name)[5] = value
    with pytest.raises(ZooError, match=message):
        data.check_values()
