import pytest
import torch

from zoo_core import GeneratorNoise, Trainer, ZooError, resolve
from zoo_core.protocols import HasMode
from zoo_core.testing import checks_of, toy_data

SAMPLERS = ("gaussian", "vae", "ddpm", "dpm_solver")


@pytest.mark.parametrize("check", checks_of("iql"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_sampler_is_extracted_and_acts(sampler):
    settings = [f"sampler={sampler}", "sampler.hidden=16", "critic.hidden=16", "value.hidden=16"]
    trainer = Trainer(resolve("iql", ["steps=4", "batch_size=8", *settings]), toy_data())
    before = [p.clone() for p in trainer.agent().part("sampler").parameters()]
    agent = trainer.run().agent()
    after = list(agent.part("sampler").parameters())
    assert all(bool((a != b).any()) for a, b in zip(after, before, strict=True) if a.numel() > 3)

    def act(seed, name=None):
        noise = GeneratorNoise(torch.Generator().manual_seed(seed))
        return agent.act(toy_data().observations[:5], noise, name)

    # The headline is the mode where there is one, else one sample.
    assert isinstance(agent.part("sampler"), HasMode) == (sampler == "gaussian")
    assert torch.equal(act(0), act(1)) == (sampler == "gaussian")
    assert torch.equal(act(0), act(0, "sample")) == (sampler != "gaussian")


@pytest.mark.parametrize(
    ("dataset", "values"),
    [
        ("mujoco/hopper/medium-v0", {"reward": "return_range"}),
        ("rlzoo3/hopper/medium-expert-v0", {"reward": "return_range", "beta": 3.0}),
        ("D4RL/antmaze/large-play-v1", {"expectile": 0.9, "beta": 10.0, "reward": "minus_one"}),
        ("D4RL/pen/human-v2", {"beta": 0.5, "sampler.dropout": 0.1, "reward": "none"}),
        ("D4RL/door/human-v2", {"beta": 0.5, "sampler.dropout": 0.1}),
        ("D4RL/kitchen/mixed-v2", {"beta": 0.5, "sampler.dropout": 0.1}),
        ("zoo/pendulum/mixed-v0", {"expectile": 0.7, "beta": 3.0, "sampler.dropout": 0.0}),
        ("d3rlpy/pendulum/replay-v1", {"beta": 3.0, "sampler.dropout": 0.0}),
    ],
)
def test_the_papers_values_by_dataset(dataset, values):
    recipe = resolve("iql", dataset=dataset, tuned=True)
    assert {path: recipe.values()[path] for path in values} == values


@pytest.mark.parametrize("assignment", ["expectile=0", "expectile=1", "beta=-1", "tau=0", "lr=0"])
def test_values_outside_their_meaning_are_refused(assignment):
    with pytest.raises(ZooError, match=f"^{assignment.partition('=')[0]}: input should be"):
        resolve("iql", [assignment])
