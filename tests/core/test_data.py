"""`OfflineData`, reward rules and moments against a slow, obvious reading of the episodes."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core import OfflineData, Space, ZooError
from zoo_core.data import observation_moments
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
        ({"ends": (2, 6)}, r"ends \[2, 6\] of 6 episodes"),
        ({"actions": torch.zeros(39)}, r"actions \[39\], not \[39, A\]"),
        ({"actions": torch.zeros(39, 0)}, r"actions \[39, 0\]"),
        ({"columns": {"value": torch.zeros(39)}}, "column 'value' .39. needs 45 rows"),
        ({"rewards": torch.zeros(39, dtype=torch.int64)}, "rewards is torch.int64"),
        ({"terminations": torch.zeros(39)}, "terminations is torch.float32, not bool"),
        ({"lengths": torch.full((6,), 6.5)}, "lengths is torch.float32, not int64"),
        ({"actions": torch.zeros(39, 2).numpy()}, "actions is a ndarray, not a tensor"),
        ({"columns": {"value": torch.zeros(45).numpy()}}, "column 'value' is a ndarray"),
        ({"actions": torch.zeros(())}, "actions is one number"),
        ({"lengths": torch.tensor(39)}, "lengths is one number"),
        ({"observations": torch.zeros(45, 3).bfloat16()}, "observations is torch.bfloat16"),
        ({"rewards": torch.zeros(39).to_sparse()}, "rewards is sparse"),
        ({"rewards": torch.zeros(39, requires_grad=True)}, "rewards requires a gradient"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ZooError, match=message):
        dataclasses.replace(toy_data(), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observations": torch.zeros(3, 3)}, r"episode 1: observations \[3, 3\], not \[4, O\]"),
        ({"observations": torch.zeros(4)}, r"episode 1: observations \[4\], not \[4, O\]"),
        ({"rewards": torch.zeros(3, 1)}, r"episode 1: rewards \[3, 1\], not \[3\]"),
        ({"actions": torch.zeros(3)}, r"episode 1: actions \[3\], not \[3, A\]"),
        ({"truncations": torch.zeros(2).bool()}, r"episode 1: truncations \[2\], not \[3\]"),
        ({"rewards": None}, "episode 1: no rewards"),
        ({"actions": torch.zeros(0, 2)}, "episode 1: it has no transition"),
        ({"observations": torch.zeros(4, 5)}, "episode 1: observations of 5 dimensions"),
        ({"actions": torch.zeros(3, 1)}, "episode 1: actions of 1 dimensions"),
        ({"rewards": np.array(["1", "2", "3"])}, "episode 1: rewards is <U1, not real numbers"),
        ({"rewards": np.array([1.0, None, 2.0])}, "episode 1: rewards is object"),
        ({"rewards": np.ones(3) * 1j}, "episode 1: rewards is complex128"),
        ({"actions": [[0.0, 1.0], [0.0], [1.0, 0.0]]}, "episode 1: actions has rows of different"),
        ({"terminations": np.full(3, np.nan)}, "episode 1: terminations has nan, not 0 or 1"),
        ({"truncations": [0, 0, 2]}, "episode 1: truncations has 2, not 0 or 1"),
    ],
)
def test_an_episode_that_does_not_fit_is_named(changes, message):
    episodes = episodes_of([3, 3, 3])
    episodes[1].update(changes)
    episodes[1] = {key: value for key, value in episodes[1].items() if value is not None}
    with pytest.raises(ZooError, match=message):
        OfflineData.from_episodes(episodes, name="mine")


def test_arrays_of_any_byte_order_strides_and_type_are_read():
    rewards = np.array([1.0, 2.0, 3.0])
    expected = torch.tensor([1.0, 2.0, 3.0])
    tensor = torch.tensor(rewards, requires_grad=True)
    for own in (rewards.astype(">f8"), rewards[::-1][::-1], np.longdouble(rewards), [1, 2, 3]):
        episode = {**episodes_of([3])[0], "rewards": own}
        assert torch.equal(OfflineData.from_episodes([episode]).rewards, expected)
    episode = {**episodes_of([3])[0], "rewards": tensor, "terminations": [0.0, 0.0, 1.0]}
    data = OfflineData.from_episodes([episode])
    assert torch.equal(data.rewards, expected)
    assert data.terminations.tolist() == [False, False, True]
    assert len(data.digest) == 16


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
        ("actions", 1.00001, r"actions leave \[-1, 1\] at row 5 \(1.00001\)"),
        ("actions", 1.2, r"actions leave \[-1, 1\] at row 5 \(1.2\)"),
        ("actions", -1.2, r"actions leave \[-1, 1\] at row 5"),
        ("observations", -3e38, r"observations has -3e\+38 at row 5, which is too large"),
        ("rewards", 1e30, r"rewards has 1e\+30 at row 5, which is too large"),
        ("terminations", True, "terminations has True at row 5, inside of an episode"),
        ("truncations", True, "truncations has True at row 5, inside of an episode"),
    ],
)
def test_bad_values_are_found(name, value, message):
    data = toy_data()
    data.check_values()
    getattr(data, name)[5] = value
    with pytest.raises(ZooError, match=message):
        data.check_values()


def test_a_prepared_column_may_be_on_another_device():
    column = torch.zeros(45, device="meta")
    assert dataclasses.replace(toy_data(), columns={"value": column}).columns["value"] is column


def test_a_bad_number_in_a_column_is_found():
    column = torch.zeros(45, 2)
    column[7, 1] = float("nan")
    data = dataclasses.replace(toy_data(), columns={"value": column})
    with pytest.raises(ZooError, match="column 'value' has NaN or infinity at row 7"):
        data.check_values()


@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1.0, 1e6])
def test_columns_in_small_units_are_normalised_like_others(unit):
    generator = torch.Generator().manual_seed(0)
    episode = episodes_of([400])[0]
    episode["observations"] = torch.randn(401, 3, generator=generator) * torch.tensor(
        [1.0, unit, 0]
    )
    data = OfflineData.from_episodes([episode])
    mean, std = observation_moments(data)
    spread = float(((data.observations - mean) / std)[:, 1].std())
    assert 0.45 < spread < 1.1
    assert float(std[2]) == pytest.approx(1e-3)  # a constant column: the official epsilon


def test_a_column_that_is_constant_up_to_rounding_is_not_amplified():
    episode = episodes_of([400])[0]
    offset = torch.tensor([0.1, 1e6, 1.0])
    noise = torch.tensor([1e-8, 0.06, 1e-8]) * torch.randn(401, 3)
    episode["observations"] = offset + noise
    data = OfflineData.from_episodes([episode])
    mean, std = observation_moments(data)
    assert float(((data.observations - mean) / std).abs().max()) < 5.0
    assert std[[0, 2]].tolist() == pytest.approx([1e-3, 1e-3], rel=1e-3)
