import pytest

from zoo_core import Trainer, ZooError, resolve
from zoo_core.testing import checks_of, toy_data


@pytest.mark.parametrize("check", checks_of("idql"), ids=str)
def test_conformance(check):
    check()


def test_the_critic_takes_every_second_step():
    logs = []
    small = ["batch_size=8", "sampler.hidden=16", "critic.hidden=16", "value.hidden=16"]
    Trainer(resolve("idql", ["steps=4", *small]), toy_data()).run(log=logs.append, log_every=1)
    trained = [{name.partition("/")[0] for name in log.metrics[0]} for log in logs]
    assert trained == [{"actor"}, {"actor", "value", "critic"}] * 2


@pytest.mark.parametrize(
    ("dataset", "values"),
    [
        ("mujoco/hopper/medium-v0", {"reward": "return_range", "expectile": 0.7}),
        ("rlzoo3/hopper/medium-expert-v0", {"reward": "return_range"}),
        ("D4RL/antmaze/large-play-v1", {"expectile": 0.9, "reward": "minus_one"}),
        ("D4RL/pen/human-v2", {"expectile": 0.7, "reward": "none"}),
    ],
)
def test_the_papers_values_by_dataset(dataset, values):
    recipe = resolve("idql", dataset=dataset, tuned=True)
    assert {path: recipe.values()[path] for path in values} == values
    assert recipe.act("reweighted").expectile == recipe.values()["expectile"]


@pytest.mark.parametrize(
    "assignment",
    ["expectile=1", "critic_every=0", "weight_decay=-1", "policy_tau=0", "sampler.dropout=1"],
)
def test_values_outside_their_meaning_are_refused(assignment):
    with pytest.raises(ZooError, match=f"^{assignment.partition('=')[0]}: input should be"):
        resolve("idql", [assignment])
