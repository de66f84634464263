"""Batches of transitions and of windows against a slow, obvious reading."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core import Batch, OfflineData, Transitions, Windows
from zoo_core.batch import BatchStream

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def numbered(lengths):
    """Observation t of episode e is 100 e + t; action, reward: the same over 1000; all even
    episodes terminate."""
    episodes = []
    for e, length in enumerate(lengths):
        t = torch.arange(length + 1).float()
        last = t[:-1] == length - 1
        episodes.append(
            {
                "observations": (100 * e + t)[:, None],
                "actions": (100 * e + t[:-1, None]) / 1000,
                "rewards": (100 * e + t[:-1]) / 1000,
                "terminations": last & (e % 2 == 0),
                "truncations": last & (e % 2 == 1),
            }
        )
    return OfflineData.from_episodes(episodes)


def stream(data, kind, seeds=(0,), columns=None, stacked=False):
    return BatchStream(
        data,
        kind,
        [torch.Generator().manual_seed(seed) for seed in seeds],
        [{} for _ in seeds] if columns is None else columns,
        stacked=stacked,
        dtype=torch.float64,
        device=torch.device("cpu"),
    )


@settings(max_examples=30, deadline=None)
@given(LENGTHS)
def test_a_transition_keeps_together(lengths):
    data = numbered(lengths)
    everything = torch.arange(len(data))
    batch = stream(data, Transitions(size=4)).at(everything)
    place = [(e, t) for e, length in enumerate(lengths) for t in range(length)]
    for i, (e, t) in enumerate(place):
        assert batch.observations[i].item() == 100 * e + t
        assert batch.next_observations[i].item() == 100 * e + t + 1
        assert batch.actions[i].item() == pytest.approx((100 * e + t) / 1000)
        assert batch.rewards[i].item() == pytest.approx((100 * e + t) / 1000)
        assert batch.terminations[i].item() == float(t == lengths[e] - 1 and e % 2 == 0)
    assert torch.equal(batch.index, everything)
    assert batch.mask is None
    assert batch.rewards.dtype == torch.float64


@settings(max_examples=30, deadline=None)
@given(LENGTHS, st.integers(1, 8))
def test_windows_stay_in_their_episode(lengths, horizon):
    data = numbered(lengths)
    batch = stream(data, Windows(size=2, horizon=horizon)).at(torch.arange(len(data)))
    assert batch.observations.shape == (len(data), horizon, 1)
    place = [(e, t) for e, length in enumerate(lengths) for t in range(length)]
    for i, (e, start) in enumerate(place):
        for h in range(horizon):
            inside = start + h < lengths[e]
            t = min(start + h, lengths[e] - 1)  # past the end the last one repeats
            assert batch.mask[i, h].item() == float(inside)
            assert batch.observations[i, h].item() == 100 * e + t
            assert batch.next_observations[i, h].item() == 100 * e + t + 1
            assert batch.actions[i, h].item() == pytest.approx((100 * e + t) / 1000)
            assert place[int(batch.index[i, h])] == (e, t)


def test_draws_are_uniform_and_repeatable():
    data = numbered([3, 1, 4])
    drawn = stream(data, Transitions(size=8000)).draw().index
    counts = torch.bincount(drawn, minlength=8)
    assert len(counts) == 8
    assert int((counts - 1000).abs().max()) < 150  # five deviations
    assert torch.equal(drawn, stream(data, Transitions(size=8000)).draw().index)
    assert not torch.equal(drawn, stream(data, Transitions(size=8000), seeds=(1,)).draw().index)


def test_a_stack_holds_each_seeds_own_batch():
    data = numbered([3, 1, 4])
    kind = Transitions(size=16)
    columns = [{"v": torch.arange(11.0) + 100 * s} for s in range(2)]
    stacked = stream(data, kind, (4, 9), columns, stacked=True).draw()
    for position, seed in enumerate((4, 9)):
        own = stream(data, kind, (seed,), [columns[position]]).draw()
        for name in ("observations", "actions", "rewards", "next_observations", "index"):
            assert torch.equal(getattr(stacked, name)[position], getattr(own, name))
        assert torch.equal(stacked.columns["v"][position], own.columns["v"])
        assert torch.equal(stacked.next_columns["v"][position], own.next_columns["v"])


def test_columns_are_found_at_an_observation_and_at_its_successor():
    data = numbered([2, 3])
    columns = {"value": data.observations[:, 0].half(), "count": torch.arange(7)}
    batch = stream(data, Transitions(size=1), columns=[columns]).at(torch.arange(5))
    assert torch.equal(batch.columns["value"], batch.observations[:, 0])
    assert torch.equal(batch.next_columns["value"], batch.next_observations[:, 0])
    assert batch.columns["value"].dtype == torch.float64
    assert batch.columns["count"].tolist() == [0, 1, 3, 4, 5]
    assert batch.next_columns["count"].dtype == torch.int64


@pytest.mark.parametrize("kind", [Transitions(size=6), Windows(size=6, horizon=2)])
def test_vmap_maps_over_a_batch(kind):
    batch = stream(numbered([3, 4]), kind, (0, 1), stacked=True).draw()

    def value(own: Batch):
        total = (own.observations.sum(-1) * own.rewards).sum()
        return total if own.mask is None else total + own.mask.sum()

    together = torch.func.vmap(value)(batch)
    each = batch.observations.sum(-1).mul(batch.rewards).flatten(1).sum(1)
    torch.testing.assert_close(
        together, each if batch.mask is None else each + batch.mask.sum((1, 2))
    )
