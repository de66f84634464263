"""The conformance kit finds what it is there to find."""

import dataclasses

import pytest
import torch
from toys import CITE, TOY, ToyPlugin, registry_with, toy_registry

from zoo_core import (
    Act,
    Adam,
    AlgorithmConfig,
    AlgorithmSpec,
    Config,
    Critic,
    Ema,
    LossSpec,
    Part,
    Sampler,
    SamplerSpec,
    Stage,
    Term,
    UnknownName,
    Update,
    hookimpl,
)
from zoo_core.builtin import gaussian
from zoo_core.testing import CheckFailed, checks_of


class Nothing(Config):
    """No settings."""


def failures(name, registry):
    found = {}
    for check in checks_of(name, registry):
        try:
            check()
        except CheckFailed as error:
            found[check.name] = str(error)
    return found


def with_loss(function, reads=None, update=None, steps=None):
    """A registry with an algorithm `made` whose one term is the function."""
    spec = LossSpec("made_loss", Nothing, lambda config: function, reads or {}, "something")
    actor = Update("actor", {"sampler": Adam()}, (Term("made_loss"),))
    updates = (actor,) if update is None else (actor, update)

    class Plugin:
        @hookimpl
        def zoo_losses(self):
            return [spec]

        @hookimpl
        def zoo_algorithms(self):
            return [
                AlgorithmSpec(
                    "made",
                    AlgorithmConfig,
                    CITE,
                    "made for a test",
                    parts=lambda c: {
                        "sampler": Part("gaussian"),
                        "critic": Part("twin_q"),
                    },
                    stages=lambda c: (Stage("train", steps or c.steps, updates, (Ema("critic"),)),),
                    acts=lambda c: (Act(),),
                )
            ]

    return registry_with(Plugin())


def cloned(context):
    batch = context.batch
    return context.sampler.nll(batch.observations, batch.actions, context.noise).mean()


READS = {"sampler": (Sampler,)}


def test_a_sound_algorithm_passes():
    assert failures("toy", toy_registry()) == {}
    assert failures("made", with_loss(cloned, READS)) == {}
    assert failures("made_loss", with_loss(cloned, READS)) == {}


def test_an_undeclared_read_is_found():
    def loss(context):
        q = context.target.critic.q(context.batch.observations, context.batch.actions)
        return cloned(context) + 0.0 * q.mean()

    found = failures("made", with_loss(loss, READS))
    assert "reads target.critic" in found["losses read only what they declare"]
    declared = {**READS, "target.critic": (Critic,)}
    assert failures("made", with_loss(loss, declared)) == {}


def test_a_loss_that_is_no_scalar_is_named():
    def loss(context):
        batch = context.batch
        return context.sampler.nll(batch.observations, batch.actions, context.noise)

    found = failures("made", with_loss(loss, READS))
    assert all("has shape [8]; it must be a scalar" in text for text in found.values())


def test_a_draw_from_the_global_generator_is_found():
    def loss(context):
        return cloned(context) * (1.0 + torch.rand(()))

    found = failures("made", with_loss(loss, READS))
    assert "global generator" in found["leaves the global random state alone"]


def test_a_branch_on_a_tensor_is_found():
    def loss(context):
        value = cloned(context)
        return value if value > 0 else -value

    found = failures("made", with_loss(loss, READS))
    assert "torch.where" in found["a group of seeds equals solo runs"]


def test_an_update_that_trains_what_no_term_needs_is_found():
    update = Update("critic", {"critic": Adam()}, (Term("made_loss"),))
    found = failures("made", with_loss(cloned, READS, update))
    assert "no term depends on it" in found["an update changes exactly what it trains"]


def test_an_undeclared_column_is_found():
    class Plugin(ToyPlugin):
        @hookimpl
        def zoo_losses(self):
            return [dataclasses.replace(s, columns=()) for s in ToyPlugin().zoo_losses()]

    found = failures("toy", registry_with(Plugin()))
    assert found == {
        "losses read only what they declare": "loss 'again' reads the column offset, which its "
        "spec's columns does not name"
    }


def test_a_column_that_a_stage_names_and_does_not_prepare_is_found():
    def stages(config):
        first, second, last = TOY.stages(config)
        return first, dataclasses.replace(second, prepares=("offset", "onset")), last

    class Plugin(ToyPlugin):
        @hookimpl
        def zoo_algorithms(self):
            return [dataclasses.replace(TOY, stages=stages)]

    found = failures("toy", registry_with(Plugin()))
    assert found == {
        "losses read only what they declare": "stage 'second' prepares no column onset, which it "
        "names"
    }


def test_a_budget_that_is_not_used_up_is_found():
    found = failures("made", with_loss(cloned, READS, steps=7))
    assert "the stages sum to 7 steps" in found["stages use up the budget"]


def test_a_sampler_with_its_own_randomness_is_found():
    class Careless(gaussian.Gaussian):
        def sample(self, observations, noise, n=1):
            return super().sample(observations, noise, n) + 1e-3 * torch.randn(())

        def nll(self, observations, actions, noise):
            return super().nll(observations, actions, noise).mean(0, keepdim=True)

    class Plugin:
        @hookimpl
        def zoo_samplers(self):
            return [SamplerSpec("careless", gaussian.GaussianConfig, Careless)]

    found = failures("careless", registry_with(Plugin()))
    assert "nll gives [1], not [5]" in found["shapes"]
    assert "not a function of its noise" in found["is a function of its noise"]


def test_undocumented_settings_are_found():
    class Silent(AlgorithmConfig):
        """Settings."""

        secret: int = 3

    spec = dataclasses.replace(
        with_loss(cloned, READS).algorithm("made"), name="silent", config=Silent
    )

    class Plugin:
        @hookimpl
        def zoo_algorithms(self):
            return [dataclasses.replace(spec, stages=nll_stages)]

    def nll_stages(config):
        return (Stage("train", config.steps, (Update("a", {"sampler": Adam()}, (Term("nll"),)),)),)

    spec = dataclasses.replace(spec, parts=lambda c: {"sampler": Part("gaussian")})
    found = failures("silent", registry_with(Plugin(), ToyPlugin()))
    assert found == {"is documented": "settings without a meaning: secret"}


@pytest.mark.parametrize(
    ("spent", "source", "message"),
    [
        ({"*": -1}, "a grid", "tuning_evaluations of '*' is -1"),
        ({"*": 9}, "", "without a tuning_source"),
    ],
)
def test_what_a_search_cost_needs_a_number_and_a_source(spent, source, message):
    spec = dataclasses.replace(TOY, tuning_evaluations=spent, tuning_source=source)

    class Plugin(ToyPlugin):
        @hookimpl
        def zoo_algorithms(self):
            return [spec]

    found = failures("toy", registry_with(Plugin()))
    assert message in found["paths of paper and tuned values exist"]


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'gaussian'"):
        checks_of("gausian", toy_registry())
