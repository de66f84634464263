"""Warnings of data in units that networks do not see."""

import warnings

import pytest

from zoo_core import Agent, ZooError, resolve
from zoo_core.errors import ZooWarning
from zoo_core.testing import toy_data
from zoo_core.training import Trainer
from zoo_core.units import out_of_scale

SMALL = ["steps=1", "batch_size=4", "critic.hidden=8", "sampler.hidden=8"]


def lines(algorithm="iql", *settings, observations=1.0, rewards=1.0):
    data = toy_data()
    data.observations[:] *= observations
    data.rewards[:] *= rewards
    small = SMALL if algorithm != "bc" else [*SMALL[:2], SMALL[3]]
    agent = Agent(resolve(algorithm, [*small, *settings]), data.space)
    agent.fit_scaling(data)
    return list(out_of_scale(agent, data))


def test_ordinary_data_get_no_line():
    assert not lines()
    assert not lines(observations=0.01, rewards=1e-3)
    assert not lines(observations=100.0, rewards=1e3)
    assert not lines(observations=0.0, rewards=0.0)


@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1e6, 1e12])
def test_observations_in_other_units_get_a_line_unless_normalised(unit):
    (line,) = lines(observations=unit)
    assert "observation" in line and "normalize_observations=true" in line and len(line) < 200
    assert not lines("iql", "normalize_observations=true", observations=unit)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_rewards_in_other_units_get_a_line_where_a_critic_learns_from_them(unit):
    (line,) = lines(rewards=unit)
    assert "rewards reach" in line and "reward=standardise" in line and len(line) < 200
    assert not lines("iql", "reward=standardise", rewards=unit)
    assert not lines("bc", rewards=unit)


def test_a_trainer_warns():
    data = toy_data()
    data.observations[:] *= 1e-7
    with pytest.warns(ZooWarning, match="observations vary by at most"):
        Trainer(resolve("td3_bc", [*SMALL, "normalize_observations=false"]), data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(resolve("td3_bc", SMALL), data)


def test_scaling_is_not_fitted_to_values_that_are_none():
    agent = Agent(resolve("td3_bc", SMALL), toy_data().space)
    for name in ("observations", "rewards"):
        data = toy_data()
        getattr(data, name)[3] = float("nan")
        with pytest.raises(ZooError, match=f"{name} has NaN or infinity at row 3"):
            agent.fit_scaling(data)
