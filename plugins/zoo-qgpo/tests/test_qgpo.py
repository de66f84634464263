import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from zoo_qgpo import algorithm
from zoo_qgpo.algorithm import acts
from zoo_qgpo.config import QGPOConfig
from zoo_qgpo.held_out import hold_out

from zoo_core import GeneratorNoise, OfflineData, Trainer, ZooError, resolve
from zoo_core.testing import checks_of, toy_data

LOSSES = ("cep", "support_td", "held_out_nll")
SMALL = ["steps=6", "behaviour_batch_size=8", "batch_size=8", "samples=3", "sampler.steps=3"]
SMALL += ["sampler.hidden=8", "sampler.energy_hidden=8", "critic.hidden=8"]


@pytest.mark.parametrize(
    "check", [check for name in ("qgpo", *LOSSES) for check in checks_of(name)], ids=str
)
def test_conformance(check):
    check()


def small(*settings):
    return Trainer(resolve("qgpo", [*SMALL, *settings]), toy_data())


def test_the_support_is_drawn_once_for_a_behaviour_model_and_how_it_is_sampled(
    tmp_path, monkeypatch
):
    drawn = []
    real = algorithm.drawn_actions
    monkeypatch.setattr(
        algorithm, "drawn_actions", lambda *given: drawn.append(given) or real(*given)
    )

    def support(*settings):
        recipe = resolve("qgpo", [*SMALL, *settings])
        return Trainer(recipe, toy_data(), columns_dir=tmp_path).run().columns[0]["support"]

    first = support()
    again = support("beta=7", "scale=2", "critic_lr=0.1")
    assert len(drawn) == 1
    assert torch.equal(first, again)
    support("samples=2")
    support("sampler.steps=4")
    support("lr=0.5")
    assert len(drawn) == 4


@given(st.integers(3, 10_000), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_every_stage_has_its_share_of_the_steps(steps, behaviour, part):
    critic = part * (1 - behaviour) * 0.999
    config = QGPOConfig(steps=steps, behaviour_share=behaviour, critic_share=critic)
    found = config.stage_steps()
    assert sum(found) == steps
    assert min(found) >= 1
    for share, count in zip((behaviour, critic), found, strict=False):
        assert abs(share * steps - count) <= 2


def test_the_headline_is_the_fixed_scale_and_comes_once():
    assert [act.name for act in acts(QGPOConfig(scale=2.5, scales=(0.0, 2.5, 3.0)))] == [
        "scale_2.5",
        "scale_0",
        "scale_3",
    ]
    assert [act.scale for act in acts(QGPOConfig(scale=4.0, scales=(1.0,)))] == [4.0, 1.0]


def test_the_support_is_the_behaviours_and_stands_at_observation_and_successor():
    """One draw per stored observation: what one transition's successor finds, the next finds."""
    trainer = small()
    trainer.run(until=3)
    data, support = trainer.data, trainer.columns[0]["support"]
    assert support.shape == (len(data.observations), 3, 2)
    # The energy is not asked, however large its gradient.
    assert trainer._batches is not None
    batch = trainer._batches.at(torch.arange(len(data)))
    inside = ~(data.terminations | data.truncations)[:-1]
    here, there = batch.columns["support"][1:], batch.next_columns["support"][:-1]
    assert torch.equal(here[inside], there[inside])
    assert not torch.equal(here[~inside], there[~inside])


def test_half_the_space_for_the_support():
    trainer = small("half_support=true").run()
    assert trainer.columns[0]["support"].dtype == torch.float16


@pytest.mark.parametrize("method", ["mse", "emse"])
def test_other_ways_to_learn_the_energy(method):
    trainer = small(f"method={method}")
    before = trainer.agent().part("sampler.energy").time.weight.clone()
    after = trainer.run().agent().part("sampler.energy").time.weight
    assert not torch.equal(before, after)


def test_the_held_out_error_is_that_of_the_episodes_not_learnt():
    """Over the whole data at once, both numbers are plain means."""
    logs, data = [], toy_data()
    rows = len(data)
    recipe = resolve("qgpo", [*SMALL, "held_out=0.3", "steps=3", f"behaviour_batch_size={rows}"])
    trainer = Trainer(recipe, data, dtype=torch.float64)
    trainer._enter()
    weight = trainer.columns[0]["held_out"]
    by_episode = [set(w.tolist()) for w in weight.split((data.lengths + 1).tolist())]
    assert all(len(values) == 1 for values in by_episode)
    assert sum(values != {0.0} for values in by_episode) == 2
    assert float(weight[data.rows].sum()) == pytest.approx(rows)

    batches, stream = trainer._batches, trainer._updates[0].streams[0][0]
    batches.draw = lambda: batches.at(torch.arange(rows))
    normals, uniforms = stream.draw()
    stream.draw = lambda: (normals, uniforms)
    prior, batch = trainer.agent().part("sampler"), batches.draw()

    class Fixed:
        normal = staticmethod(lambda *shape: normals.view(shape))
        uniform = staticmethod(lambda *shape: uniforms.view(shape))

    with torch.no_grad():
        nll = prior.nll(batch.observations, batch.actions, Fixed())
    trainer.run(1, logs.append, 1)
    out = weight[data.rows] > 0
    metrics = logs[0].metrics[0]
    assert metrics["behaviour/held_out"] == pytest.approx(float(nll[out].mean()), rel=1e-6)
    assert metrics["behaviour/nll"] == pytest.approx(float(nll[~out].mean()), rel=1e-6)


def test_something_must_be_left_to_learn():
    data, noise = toy_data(episodes=1), GeneratorNoise(torch.Generator())
    with pytest.raises(ZooError, match="1 of 1 episodes"):
        hold_out(0.1)(None, data, noise)
    assert isinstance(data, OfflineData)


@pytest.mark.parametrize(
    "assignment",
    [
        "behaviour_share=0",
        "samples=0",
        "beta=0",
        "q_beta=-1",
        "scale=-1",
        "scales.0=[-1]",
        "held_out=1",
        "tau=0",
        "discount=1.01",
        "method=least_squares",
        "acts.scale_3.scale=-1",
        "train.energy.cep.beta=0",
        "train.critic.support_td.reduce=softmax",
    ],
)
def test_refuses_values_without_meaning(assignment):
    path, _, value = assignment.partition("=")
    with pytest.raises(ZooError) as caught:
        resolve("qgpo", [f"{path.removesuffix('.0')}={value}"])
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps=2", "steps must be at least 3, one for each stage"),
        ("scales=[1, 1]", "scales must differ from each other"),
        (
            "behaviour_share=0.7",
            "behaviour_share and critic_share must leave steps to the energy",
        ),
        (
            "train.critic.support_td.reduce=softmax(-1)",
            "train.critic.support_td.reduce: softmax takes a number above 0 (got -1)",
        ),
        (
            "train.critic.support_td.column=nothing",
            "train.critic.support_td: loss 'support_td' reads the column 'nothing', which no stage "
            "has prepared by then; prepared: support",
        ),
        (
            "guide.energy.cep.column=nothing",
            "guide.energy.cep: loss 'cep' reads the column 'nothing', which no stage has prepared "
            "by then; prepared: support",
        ),
        (
            "clone.behaviour.nll=held_out_nll",
            "clone.behaviour.nll: loss 'held_out_nll' reads the column 'held_out', which no stage "
            "has prepared by then; prepared: none",
        ),
        (
            "sampler=gaussian",
            "clone.behaviour trains 'sampler.prior', but sampler 'gaussian' has no part 'prior'",
        ),
    ],
)
def test_refuses_what_cannot_work_by_the_whole_sentence(assignment, message):
    with pytest.raises(ZooError) as caught:
        resolve("qgpo", [assignment])
    assert str(caught.value) == message


def test_refuses_scales_that_are_not_finite():
    for value in ("inf", "nan"):
        with pytest.raises(ZooError, match=r"^scale: input should be a finite number"):
            resolve("qgpo", {"scale": float(value)})
