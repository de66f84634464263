import pytest
import torch

from zoo_core import GeneratorNoise, OfflineData, Trainer, ZooError, resolve
from zoo_core.testing import check_refused, checks_of

ALGORITHMS = ("edp", "edp_crr", "edp_iql")
LOSSES = ("one_step_nll", "one_step_q", "one_step_crr", "one_step_awr")
CHECKS = [check for name in ALGORITHMS + LOSSES for check in checks_of(name)]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("edp", "alpha=-1"),
        ("edp", "average_every=0"),
        ("edp_crr", "temperature=0"),
        ("edp_crr", "candidates=0"),
        ("edp_crr", "likelihood=exact"),
        ("edp_iql", "expectile=1"),
        ("edp_iql", "beta=-1"),
        ("edp_iql", "max_grad_norm=0"),
    ],
)
def test_values_outside_their_meaning_are_refused_by_name(name, setting):
    check_refused(name, setting)


def test_fewer_calls_than_the_solvers_order_are_refused():
    with pytest.raises(ZooError) as caught:
        resolve("edp", ["sampler.steps=2"])
    assert str(caught.value) == "sampler: steps must be at least the order, 3 (got 2)"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_sampler_without_a_one_step_action_is_refused(name):
    with pytest.raises(ZooError, match="one-step reconstruction"):
        resolve(name, ["sampler=gaussian"])


@pytest.mark.parametrize(
    ("name", "dataset", "reward", "clip"),
    [
        ("edp", "mujoco/hopper/medium-v0", "none", 9.0),
        ("edp", "mujoco/walker2d/medium-v0+mujoco/walker2d/expert-v0", "none", 5.0),
        ("edp_iql", "mujoco/hopper/medium-v0", "return_range", 9.0),
        ("edp", "D4RL/antmaze/large-play-v1", "antmaze", 10.0),
        ("edp_iql", "D4RL/antmaze/large-play-v1", "minus_one", 10.0),
        ("edp_crr", "D4RL/pen/human-v2", "unit_range", 7.0),
        ("edp_crr", "D4RL/door/human-v2", "unit_range", None),
        ("edp_iql", "D4RL/kitchen/partial-v2", "unit_range", 10.0),
        ("edp", "zoo/pendulum/mixed-v0", "none", None),
    ],
)
def test_the_official_values_by_dataset(name, dataset, reward, clip):
    values = resolve(name, dataset=dataset, tuned=True).values()
    assert (values["reward"], values["max_grad_norm"]) == (reward, clip)


def two_modes(episodes=400):
    """One step each: actions about -0.5 or 0.5, of which the second is worth 1."""
    generator = torch.Generator().manual_seed(0)
    side = torch.arange(episodes) % 2
    actions = side - 0.5 + 0.05 * torch.randn(episodes, generator=generator)
    return OfflineData(
        observations=torch.zeros(2 * episodes, 1),
        actions=actions[:, None],
        rewards=side.float(),
        terminations=torch.ones(episodes, dtype=torch.bool),
        truncations=torch.zeros(episodes, dtype=torch.bool),
        lengths=torch.ones(episodes, dtype=torch.int64),
    )


def share_of_the_better_mode(name, *settings):
    """Of 1000 actions of a small policy, trained for a moment in which cloning weighs little."""
    small = ["sampler.hidden=32", "critic.hidden=32", "steps=300", "batch_size=64", "lr=0.005"]
    short = ["sampler.steps=6", "sampler.schedule=vp", "sampler.trained_steps=50"]
    value = ["value.hidden=32"] if name == "edp_iql" else []
    weight = "train.actor.one_step_nll.weight=0.1"
    recipe = resolve(name, [*small, *short, *value, weight, *settings])
    agent = Trainer(recipe, two_modes(), seeds=(1,)).run().agent()
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float((agent.act(torch.zeros(1000, 1), noise, "sample") > 0.0).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "improving", "cloning"),
    [
        ("edp", "alpha=0.2", "alpha=0"),
        ("edp_crr", "temperature=0.1", "temperature=1000"),
        ("edp_iql", "beta=10", "beta=0"),
    ],
)
def test_the_policy_prefers_the_better_of_two_modes_and_cloning_does_not(name, improving, cloning):
    cloned = share_of_the_better_mode(name, cloning)
    assert 0.3 < cloned < 0.7
    assert share_of_the_better_mode(name, improving) > max(cloned + 0.15, 0.7)
