import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import model_validator
from toys import CITE, TOY, ToyConfig, ToyPlugin, registry_with

from zoo_core import (
    Act,
    Adam,
    AlgorithmConfig,
    AlgorithmSpec,
    Ema,
    Incompatible,
    Part,
    Schedule,
    Stage,
    Term,
    Trainer,
    UnknownName,
    Update,
    ZooError,
    hookimpl,
    resolve,
)
from zoo_core.builtin.ddpm import DDPMConfig
from zoo_core.recipe import tuned_values
from zoo_core.testing import toy_data


class WideConfig(ToyConfig):
    """The toy's settings, of which two depend on each other."""

    both: int = 0
    """Not 1."""

    @model_validator(mode="after")
    def _apart(self):
        if self.both == 1:
            raise ValueError("both must not be steps")
        return self


class WidePlugin(ToyPlugin):
    """The toy, and one whose sampler has a width for each layer."""

    @hookimpl
    def zoo_algorithms(self):
        wide = dataclasses.replace(TOY, name="wide", config=WideConfig)
        return [TOY, dataclasses.replace(wide, parts=wide_parts)]


def wide_parts(config):
    return {"sampler": Part("vae"), "value": Part("linear_value")}


REGISTRY = registry_with(WidePlugin())


def toy(*settings, **options):
    return resolve("toy", list(settings), registry=REGISTRY, **options)


def algorithm(config=AlgorithmConfig, **changes):
    """A recipe of an algorithm with the given parts, stages or acts."""
    update = Update("actor", {"sampler": Adam()}, (Term("nll"),))
    given = {
        "parts": lambda config: {"sampler": Part("gaussian")},
        "stages": lambda config: (Stage("train", config.steps, (update,)),),
        "acts": lambda config: (Act(),),
        **changes,
    }

    class Plugin:
        @hookimpl
        def zoo_algorithms(self):
            return [AlgorithmSpec("made", config, CITE, **given)]

    return resolve("made", registry=registry_with(Plugin(), ToyPlugin()))


def one_update(*losses, trains=("sampler",), emas=()):
    update = Update("actor", {part: Adam() for part in trains}, losses)
    return lambda config: (Stage("train", config.steps, (update,), emas),)


def test_every_kind_of_path_can_be_set():
    recipe = toy(
        "steps=60",
        "sampler=deterministic",
        "sampler.layers=1",
        "first.batch.size=3",
        "first.actor.every=4",
        "first.actor.optimizer.sampler.lr=0.5",
        "first.value.optimizer.value.max_grad_norm=none",
        "second.value.more=windowed",
        "second.value.more.weight=0.25",
        'second.value.returns.weight={"start": 2.0, "end": 1.0}',
        "first.emas.value.head.rate=0.2",
        "last.batch.horizon=7",
        "last.steps=5",
        "acts.draw.choose=sample",
    )
    first, second, last = recipe.stages
    assert recipe.config.steps == 60
    assert recipe.parts["sampler"].spec.name == "deterministic"
    assert recipe.parts["sampler"].config.layers == 1
    assert first.batch.size == 3
    assert first.updates[0].every == 4
    assert first.updates[0].trains["sampler"].lr == 0.5
    assert first.updates[1].trains["value"].max_grad_norm is None
    assert first.emas[0].rate == 0.2
    assert recipe.losses["second", "value", "more"].spec.name == "windowed"
    assert second.updates[0].losses[1].weight == 0.25
    assert second.updates[0].losses[0].weight == Schedule(start=2.0, end=1.0)
    assert last.batch.horizon == 7
    assert recipe.total_steps == 20 + 20 + 5


def test_the_values_give_the_recipe_back():
    recipe = toy("steps=60", "sampler=ddpm", "sampler.steps=3", "acts.mode.choose=sample")
    values = json.loads(json.dumps(recipe.values()))
    assert resolve("toy", values, registry=REGISTRY).values() == recipe.values()


@given(st.integers(1, 500), st.floats(1e-6, 1.0), st.integers(1, 9))
def test_settings_round_trip_as_text(width, rate, every):
    recipe = toy(
        f"sampler.hidden={width}",
        f"first.actor.optimizer.sampler.lr={rate!r}",
        f"first.actor.every={every}",
    )
    values = recipe.values()
    assert values["sampler.hidden"] == width
    assert values["first.actor.optimizer.sampler.lr"] == rate
    assert values["first.actor.every"] == every


def test_no_reward_rule_is_called_none():
    assert resolve("toy", ["reward=none"], registry=REGISTRY).values()["reward"] == "none"


def test_every_setting_has_a_meaning():
    assert [path for path, s in toy().settings.items() if not s.meaning] == []


def test_a_swapped_part_starts_from_its_own_defaults():
    assert toy().parts["sampler"].config.hidden == 8
    assert toy("sampler=ddpm").parts["sampler"].config == DDPMConfig()


def test_settings_rank_above_defaults_and_tuned_values():
    options = {"tuned": True, "dataset": "toy/hard-v0"}
    assert toy(**options).config.batch_size == 4
    assert toy(**options).stages[0].updates[0].trains["sampler"].lr == 0.5
    assert toy(defaults={"batch_size": 6}, **options).config.batch_size == 6
    assert toy("batch_size=7", defaults={"batch_size": 6}, **options).config.batch_size == 7
    assert toy(dataset="toy/hard-v0").config.batch_size == 8


def test_later_tuned_patterns_win_and_others_do_not_apply():
    spec = REGISTRY.algorithm("toy")
    assert tuned_values(spec, "toy/easy") == {"batch_size": 4}
    assert tuned_values(spec, "other") == {}


def test_defaults_apply_only_where_the_path_exists():
    assert (
        toy(defaults={"critic.hidden": 64, "sampler.hidden": 5}).parts["sampler"].config.hidden == 5
    )


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (["critic.hidden=5"], UnknownName, "unknown setting of toy 'critic.hidden'"),
        (["sampler.hiden=5"], UnknownName, "did you mean 'sampler.hidden'"),
        (["sampler.hidden=0"], ZooError, "sampler.hidden: input should be greater than 0 (got 0)"),
        (["steps=ten"], ZooError, "steps: input should be a valid integer"),
        (["first.actor.optimizer.sampler.lr=nan"], ZooError, "first.actor.optimizer.sampler.lr"),
        (
            ["first.actor.optimizer.sampler.lr=-1"],
            ZooError,
            "first.actor.optimizer.sampler.lr: a learning rate must not be negative (got -1)",
        ),
        (
            ['first.actor.optimizer.sampler.lr={"start": 1e-3, "end": -1e-3}'],
            ZooError,
            "a learning rate must not be negative",
        ),
        (
            ["first.actor.nll.weight=-1"],
            ZooError,
            "first.actor.nll.weight: must not be negative (got -1)",
        ),
        (
            ['first.actor.nll.weight={"start": 1, "end": -0.5}'],
            ZooError,
            "first.actor.nll.weight: must not be negative (got -0.5)",
        ),
        (
            ["first.steps=0", "second.steps=0", "last.steps=0"],
            ZooError,
            "first.steps, second.steps, last.steps: one of them must be above 0",
        ),
        (
            ["second.steps=0", "first.actor.nll=again"],
            Incompatible,
            "first.actor.nll: loss 'again' reads the column 'offset', which no stage has prepared "
            "by then; prepared: none",
        ),
        (
            ["sampler=guided"],
            Incompatible,
            "act 'mode' reads 'sampler.energy', which no update trains: cloning leaves it out of "
            "sampler 'guided'; set sampler to another sampler",
        ),
        (["first.steps=0"], Incompatible, "act 'mode' reads 'sampler', which no update trains"),
        (["sampler=ddpm", "sampler.time_dim=2"], ZooError, "sampler: the size of a time embed"),
        (["sampler=ddim", "sampler.eta=2"], ZooError, "sampler.eta: input should be less than"),
        (
            [
                "sampler=ddpm",
                "acts.mode.choose=sample",
                'acts.mode.solver={"name": "ddim", "steps": 21}',
            ],
            Incompatible,
            "acts.mode.solver: ddim takes at most the 20 steps of training, not 21",
        ),
        (
            ["sampler=dpm_solver", "acts.mode.choose=sample", 'acts.mode.solver={"name": "ddpm"}'],
            Incompatible,
            "acts.mode.solver: ddpm needs a process in steps",
        ),
        (["first.actor.every=0"], ZooError, "first.actor.every: must be at least 1 (got 0)"),
        (["first.steps=-1"], ZooError, "first.steps"),
        (["sampler=dppm"], UnknownName, "unknown part 'dppm'; did you mean 'ddpm'"),
        (["first.actor.nll=nil"], UnknownName, "unknown loss 'nil'; did you mean 'nll'"),
        (["sampler.hidden"], ZooError, "'sampler.hidden' is not of the form PATH=VALUE"),
        (["first.emas.value.head.rate=2"], ZooError, "first.emas.value.head.rate"),
        (
            ["sampler=ddpm", "acts.mode.choose=mode"],
            Incompatible,
            "act 'mode' needs a mode (method mode); sampler 'ddpm' has none",
        ),
        (["sampler=linear_value"], Incompatible, "critic 'linear_value' has none"),
        (["value=twin_q"], Incompatible, "critic 'twin_q' has no part 'head'"),
    ],
)
def test_mistakes_get_one_line(settings, kind, message):
    with pytest.raises(kind) as caught:
        toy(*settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sampler.hidden=0"], "sampler.hidden: input should be greater than 0 (got 0)"),
        (
            ["sampler.hidden=[8, 0]"],
            "sampler.hidden.1: input should be greater than 0 (got 0)",
        ),
        (
            ["first.actor.nll.weight=nan"],
            "first.actor.nll.weight: input should be a finite number (got 'nan')",
        ),
        (
            ['first.actor.nll.weight={"shape": "cosine"}'],
            "first.actor.nll.weight.start: field required",
        ),
        (
            ['first.actor.optimizer.sampler.lr={"start": 1, "until": 2}'],
            "first.actor.optimizer.sampler.lr.until: input should be less than or equal to 1 "
            "(got 2)",
        ),
        (
            ['acts.draw.solver={"nme": "ddim"}'],
            "acts.draw.solver.nme: extra inputs are not permitted (got 'ddim')",
        ),
        (['sampler={"name": "ddpm"}'], "sampler: input should be a valid string"),
        (
            ["sampler=dpm_solver", "sampler.steps=1"],
            "sampler: steps must be at least the order, 2 (got 1)",
        ),
        (
            ["sampler=ddpm", "sampler.time_dim=15"],
            "sampler: time_dim must be even (got 15)",
        ),
        (
            ["sampler=ddpm", "sampler.network=unet", "sampler.hidden=10"],
            "sampler: hidden must be a multiple of 4 in 'unet' (got 10)",
        ),
        (
            ["acts.draw.average=2"],
            "acts.draw: an average needs choose to be argmax, softmax or expectile",
        ),
        (["both=1"], "both must not be steps"),
    ],
)
def test_a_value_is_refused_by_the_whole_sentence(settings, message):
    """No type names of a union, no empty path, and nothing of the other settings."""
    with pytest.raises(ZooError) as caught:
        resolve("wide", settings, registry=REGISTRY)
    assert str(caught.value) == message


def test_a_term_that_a_plugin_itself_turns_around_keeps_its_sign():
    stages = one_update(Term("nll"), Term("nll", name="bonus", weight=-0.1))
    assert algorithm(stages=stages).stages[0].updates[0].losses[1].weight == -0.1


def test_defaults_without_a_meaning_are_the_plugins_mistake():
    class Bad(AlgorithmConfig):
        steps: int = -1

        @model_validator(mode="after")
        def _positive(self):
            raise ValueError("steps must be above 0")

    with pytest.raises(ZooError) as caught:
        algorithm(config=Bad)
    assert str(caught.value) == (
        "algorithm 'made': its settings have no valid defaults: steps must be above 0"
    )


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        ("hidden", "did you mean 'sampler.hidden'?"),
        ("sampler.hiden", "did you mean 'sampler.hidden'"),
        ("seed", "known: acts.draw.average"),
    ],
)
def test_an_unknown_path_offers_what_is_near_and_nothing_far_off(asked, advice):
    with pytest.raises(UnknownName) as caught:
        toy(f"{asked}=1")
    assert f"unknown setting of toy '{asked}'; {advice}" in str(caught.value)
    assert "('zoo show toy' lists them)" in str(caught.value)


def test_an_unknown_algorithm_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'toy'"):
        resolve("toi", registry=REGISTRY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": one_update(Term("td"))}, "loss 'td' reads 'critic'"),
        (
            {
                "parts": lambda c: {"sampler": Part("gaussian"), "critic": Part("twin_q")},
                "stages": one_update(Term("td"), trains=("critic",)),
            },
            "loss 'td' reads 'target.critic', but no stage averages 'critic'",
        ),
        ({"stages": one_update(Term("nll"), trains=("policy",))}, "trains 'policy'"),
        (
            {"stages": one_update(Term("nll"), emas=(Ema("sampler.tail"),))},
            "averages 'sampler.tail', but sampler 'gaussian' has no part 'tail'",
        ),
        (
            {"stages": one_update(Term("nll"), emas=(Ema("sampler", after="actr"),))},
            "unknown update of train 'actr'; did you mean 'actor'?",
        ),
        (
            {"stages": one_update(Term("nll"), trains=("sampler.tail",))},
            "has no part 'tail'",
        ),
        ({"stages": one_update()}, "update 'actor' needs parts to train and losses"),
        (
            {
                "parts": lambda c: {"sampler": Part("gaussian"), "critic": Part("twin_q")},
                "acts": lambda c: (Act(choose="argmax", score="critic"),),
            },
            "act 'act' reads 'critic', which no update trains",
        ),
        (
            {"parts": lambda c: {"sampler": Part("guided")}},
            "act 'act' reads 'sampler.energy', which no update trains",
        ),
        ({"stages": one_update(Term("cql_penalty_like"))}, "needs values of observations"),
        ({"acts": lambda c: (Act(choose="argmax"),)}, "chooses by a score but names no critic"),
        ({"acts": lambda c: (Act(choose="argmax", score="q"),)}, "scores by 'q'"),
        ({"acts": lambda c: (Act(score="sampler"),)}, "does not choose by a score"),
        ({"acts": lambda c: (Act(sampler="target.sampler"),)}, "no stage averages 'sampler'"),
        ({"acts": None}, "needs parts, stages and acts, or a fit"),
        (
            {"stages": one_update(Term("nll"), Term("nll"))},
            "'train.actor.nll' names two settings",
        ),
    ],
)
def test_wrong_pairings_are_refused(changes, message):
    with pytest.raises(ZooError) as caught:
        algorithm(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loss_that_asks_for_samples_trains_what_cloning_leaves_out():
    recipe = algorithm(
        parts=lambda c: {"sampler": Part("guided"), "critic": Part("twin_q")},
        stages=one_update(Term("nll"), Term("q_norm")),
    )
    assert recipe.parts["sampler"].spec.beyond_nll == ("energy",)
    algorithm(
        parts=lambda c: {"sampler": Part("guided")},
        acts=lambda c: (Act(sampler="sampler.prior"),),
    )


def test_columns_that_a_stage_does_not_name_are_checked_when_it_runs():
    def stages(config):
        first, second, last = TOY.stages(config)
        return first, dataclasses.replace(second, prepares=None, prepare=other), last

    def other(agent, data, noise):
        return {"other": noise.normal(len(data.observations))}

    class Plugin(ToyPlugin):
        @hookimpl
        def zoo_algorithms(self):
            return [dataclasses.replace(TOY, stages=stages)]

    trainer = Trainer(resolve("toy", registry=registry_with(Plugin())), toy_data())
    with pytest.raises(Incompatible, match=r"column 'offset', .* prepared: other"):
        trainer.run()


def test_an_unknown_act_offers_the_others():
    with pytest.raises(UnknownName, match="did you mean 'mode'"):
        toy().act("mod")


def wrong(name, error):
    def function(config):
        raise error

    return {name: function}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (wrong("parts", KeyError("x")), "algorithm 'made': its parts() raised KeyError: 'x'"),
        (wrong("stages", AttributeError("y")), "its stages() raised AttributeError: y"),
        ({"stages": lambda c: None}, "its stages() raised TypeError"),
        ({"acts": lambda c: ("best",)}, "its acts() gave a str, not a Act"),
        ({"parts": lambda c: {"sampler": "ddpm"}}, "its parts() gave a str, not a Part"),
        (
            {"stages": lambda c: (Update("a", {"sampler": Adam()}, Term("nll")),)},
            "losses must be a tuple of terms",
        ),
        (
            {"stages": lambda c: (Stage("s", 1, Update("a", {}, ())),)},
            "updates must be a tuple of Updates",
        ),
        (
            {"stages": lambda c: (Stage("sampler", c.steps, ()),)},
            "stage 'sampler' has the name of a part or of a setting",
        ),
    ],
)
def test_a_plugins_own_mistakes_are_one_line_that_names_it(changes, message):
    with pytest.raises(ZooError) as caught:
        algorithm(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_batch_size_is_the_algorithms_unless_a_stage_says_otherwise():
    update = Update("actor", {"sampler": Adam(1e-3)}, (Term("nll"),))
    recipe = algorithm(stages=lambda c: (Stage("train", c.steps, (update,)),))
    assert recipe.stages[0].batch.size == recipe.config.batch_size == 256
    assert recipe.stages[0].updates[0].trains["sampler"].lr == 1e-3
