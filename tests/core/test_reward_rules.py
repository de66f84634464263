"""Reward rules against their formulas, in any unit; what they cannot rescale is refused."""

import pytest
import torch

from zoo_core import OfflineData, Trainer, ZooError, resolve
from zoo_core.data import reward_scaling
from zoo_core.testing import toy_data

DIVIDING = ("standardise", "unit_range", "return_range")


def episodes(*rewards, terminated=True):
    """Data with episodes of these rewards; `terminated` says of which, or of all."""
    ends = [terminated] * len(rewards) if isinstance(terminated, bool) else terminated
    listed = []
    for own, end in zip(rewards, ends, strict=True):
        last = torch.arange(len(own)) == len(own) - 1
        listed.append(
            {
                "observations": torch.zeros(len(own) + 1, 1),
                "actions": torch.zeros(len(own), 1),
                "rewards": torch.as_tensor(own, dtype=torch.float32),
                "terminations": last & end,
                "truncations": last & (not end),
            }
        )
    return OfflineData.from_episodes(listed)


def rescaled(data, rule):
    shift, scale = reward_scaling(data, rule)
    return (data.rewards.double() - shift) * scale


@pytest.mark.parametrize("unit", [1e-12, 1e-3, 1.0, 1e12])
def test_reward_rules_are_their_formulas_in_any_unit(unit):
    data = toy_data()
    data.rewards[:] *= unit
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


EQUAL = {
    "ones": episodes([1, 1, 1], [1, 1, 1]),
    "zeros": episodes([0, 0, 0], [0, 0]),
    "one transition": episodes([0.5]),
    "tiny": episodes([1e-12] * 4, [1e-12] * 4),
    "rounding": episodes([0.1] * 10, [0.1] * 10, [0.1 + 8e-9] * 10),
    "huge": episodes([1e12] * 4, [1e12] * 4),
}


@pytest.mark.parametrize("rule", DIVIDING)
@pytest.mark.parametrize("name", list(EQUAL))
def test_equal_rewards_are_refused(rule, name):
    with pytest.raises(ZooError, match=f"'{rule}' needs different .*; set reward=none") as caught:
        reward_scaling(EQUAL[name], rule)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "data",
    [
        episodes(*[[0.0] * 9 + [1.0]] * 20),
        episodes([-1.0, -2.0]),
        episodes([0.1] * 10, [0.1] * 10, [0.1 + 1e-7] * 10),
        episodes([1000.0] * 5 + [0.1], [1000.0] * 5 + [0.2]),
    ],
    ids=["one success each", "one episode", "nearly equal", "equal but for 1e-4 of a reward"],
)
def test_equal_returns_are_refused(data):
    with pytest.raises(ZooError, match="'return_range' needs different returns"):
        reward_scaling(data, "return_range")
    with pytest.raises(ZooError, match="'return_range' needs different returns"):
        Trainer(resolve("bc", ["reward=return_range", "steps=1"]), data)


@pytest.mark.parametrize(
    "data",
    [
        episodes([0.0, 0.0, 1.0], [0.0, 0.0, 0.0]),
        episodes([5.0] * 1000, [5.0] * 999 + [4.9]),
        episodes([1e-30, 0.0], [2e-30, 0.0]),
    ],
)
def test_small_but_real_differences_are_rescaled(data):
    returns = data.episode_returns()
    scale = 1000 / float(returns.max() - returns.min())
    assert reward_scaling(data, "return_range").scale == pytest.approx(scale)
    assert float(rescaled(data, "return_range").abs().max()) <= 1e6


def full(value, length=10):
    return [value] * length


@pytest.mark.parametrize(
    ("data", "complete"),
    [
        # Time-outs at a common length; the last episode was cut off by the end of the collection.
        (
            episodes(full(1), full(2), full(3, 4), terminated=[False, False, False]),
            [True, True, False],
        ),
        (episodes(full(1), full(2, 4), terminated=[False, False]), [True, False]),
        # Terminations, and a last episode that nothing else ended.
        (episodes(full(1), full(2, 5), full(3, 4), terminated=[True, True, False]), [1, 1, 0]),
        # Several workers, each cut off at its end.
        (
            episodes(full(1), full(2), full(1), full(3, 4), full(4, 7), terminated=False),
            [1, 1, 1, 0, 0],
        ),
        # The last episode terminated, or reached the limit.
        (episodes(full(1), full(2), full(3, 4), terminated=[False, False, True]), [1, 1, 1]),
        (episodes(full(1, 4), full(2, 5), full(3), terminated=[True, True, False]), [1, 1, 1]),
        # Demonstrations: each ends where its person stopped.
        (episodes(full(1, 4), full(2, 9), full(3, 6), full(1, 5), terminated=False), [1, 1, 1, 1]),
        (episodes(full(1), terminated=False), [1]),
    ],
)
def test_episodes_that_the_end_of_the_collection_cut_off_are_known(data, complete):
    assert data.complete.tolist() == [bool(each) for each in complete]


def test_the_range_is_that_of_corls_rule():
    """CORL's `return_reward_range` with the environment's limit: episodes that are done or reach
    it."""
    limit = 50
    generator = torch.Generator().manual_seed(0)
    lengths = [50, 31, 50, 50, 44, 50, 50, 17]
    done = [False, True, False, False, True, False, False, False]
    rewards = [torch.rand(n, generator=generator) + 2.0 for n in lengths]
    data = episodes(*rewards, terminated=done)
    counted = [
        float(own.double().sum())
        for own, end in zip(rewards, done, strict=True)
        if end or len(own) == limit
    ]
    expected = 1000 / (max(counted) - min(counted))
    assert reward_scaling(data, "return_range").scale == pytest.approx(expected)
    # Counting the last episode would make rewards smaller.
    returns = data.episode_returns()
    assert expected > 1.2 * 1000 / float(returns.max() - returns.min())


def test_each_of_several_collections_may_have_been_cut_off():
    data = episodes(
        full(1), full(2, 8), full(1, 3), full(4, 9), full(1, 2), terminated=[1, 1, 0, 1, 0]
    )
    ends = OfflineData(**{**vars_of(data), "ends": (2, 4)})
    assert ends.complete.tolist() == [True, True, False, True, False]
    none = OfflineData(**{**vars_of(data), "ends": ()})
    assert none.complete.all()


def vars_of(data):
    names = ("observations", "actions", "rewards", "terminations", "truncations", "lengths")
    return {name: getattr(data, name) for name in names}
