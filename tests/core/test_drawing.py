"""Actions drawn once for every stored observation."""

import io
import sys

import pytest
import torch

from zoo_core import Agent, GeneratorNoise, drawn_actions, resolve
from zoo_core.drawing import ROWS, reported
from zoo_core.testing import toy_data

DATA = toy_data()


@pytest.fixture
def agent():
    built = Agent(resolve("bc", ["sampler=gaussian", "normalize_observations=true"]), DATA.space)
    built.fit_scaling(DATA)
    return built


def noise():
    return GeneratorNoise(torch.Generator().manual_seed(0))


def test_they_are_the_samplers_at_normalised_observations(agent):
    assert len(DATA.observations) < ROWS
    with torch.no_grad():
        drawn = drawn_actions(agent, DATA, noise(), 4)
        wanted = agent.part("sampler").sample(agent.normalized(DATA.observations), noise(), 4)
    assert drawn.shape == (len(DATA.observations), 4, 2)
    assert torch.equal(drawn, wanted.transpose(0, 1))


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_bar_shows_the_progress_of_several_batches_on_a_terminal(
    agent, monkeypatch, stream, shown
):
    monkeypatch.setattr("zoo_core.drawing.ROWS", 7)
    monkeypatch.setattr(sys, "stderr", stream)
    with torch.no_grad():
        drawn = drawn_actions(agent, DATA, noise(), 3)
    assert drawn.shape == (len(DATA.observations), 3, 2)
    # Another seven observations draw other numbers.
    assert not torch.equal(drawn[:7], drawn[7:14])
    output = stream.getvalue()
    assert ("100%" in output) is shown
    assert (f"drawing 3 actions for each of {len(DATA.observations)}" in output) is shown


def test_a_listener_is_told_the_share_done_and_replaces_the_bar(agent, monkeypatch):
    monkeypatch.setattr("zoo_core.drawing.ROWS", 1 + len(DATA.observations) // 4)
    stream, told = Terminal(), []
    monkeypatch.setattr(sys, "stderr", stream)
    with torch.no_grad(), reported(told.append):
        heard = drawn_actions(agent, DATA, noise(), 3)
    assert told == [0.25, 0.5, 0.75, 1.0]
    assert stream.getvalue() == ""
    with torch.no_grad():
        assert torch.equal(heard, drawn_actions(agent, DATA, noise(), 3))
    assert len(told) == 4
