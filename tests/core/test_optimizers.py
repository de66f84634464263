"""Each update's settings of Adam, against a plain loop of torch's own optimizers."""

import copy
from dataclasses import replace

import pytest
import torch
from toys import toy_registry

from zoo_core import Adam, BadCheckpoint, Incompatible, Term, Trainer, Update, resolve
from zoo_core.engines.optimizer import PartOptimizer
from zoo_core.recipe import _check
from zoo_core.testing import toy_data

REGISTRY = toy_registry()
DATA = toy_data()
ENGINES = pytest.mark.parametrize("engine", ["solo", "vmap"])


def state(trainer):
    return {name: value.clone() for name, value in trainer.agent().state_dict().items()}


def part(trainer, name):
    return torch.nn.utils.parameters_to_vector(trainer.agent().part(name).parameters()).clone()


def trainer(*settings, engine="solo", stages=None):
    recipe = resolve("toy", list(settings), registry=REGISTRY)
    if stages is not None:
        recipe = replace(recipe, **stages(recipe))
    return Trainer(recipe, DATA, dtype=torch.float64, engine=engine)


def test_a_part_keeps_one_state_and_steps_with_each_updates_settings():
    """Against Adam and AdamW whose settings are changed by hand, from L2 to decoupled and back."""
    generator = torch.Generator().manual_seed(0)
    mine = [torch.randn(3, 2, generator=generator), torch.randn(4, generator=generator)]
    plain = [p.clone() for p in mine]
    settings = [
        Adam(),
        Adam(weight_decay=0.5),
        Adam(weight_decay=0.5, decoupled=True),
        Adam(beta1=0.5, beta2=0.9, eps=0.1),
        Adam(weight_decay=0.2, decoupled=True, beta1=0.0),
    ]
    optimizer = PartOptimizer(mine)
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in plain]
    for step in range(1, 11):
        adam, lr = settings[step % 5], 0.01 * step
        gradients = [torch.randn(p.shape, generator=generator) for p in plain]
        optimizer.step([g.clone() for g in gradients], adam, lr)
        for p, g, (first, second) in zip(plain, gradients, moments, strict=True):
            decay = adam.weight_decay
            if adam.decoupled:
                p -= lr * decay * p
            else:
                g = g + decay * p
            first.lerp_(g, 1 - adam.beta1)
            second.mul_(adam.beta2).addcmul_(g, g, value=1 - adam.beta2)
            root = (second / (1 - adam.beta2**step)).sqrt() + adam.eps
            p -= lr * first / (1 - adam.beta1**step) / root
        for ours, theirs in zip(mine, plain, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        if step == 5:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = PartOptimizer(mine)
            optimizer.load_state_dict(saved)


@ENGINES
@pytest.mark.parametrize(
    "setting",
    ["weight_decay=10", "eps=1", "beta1=0.1", "beta2=0.1", "lr=0.1", "max_grad_norm=1e-9"],
)
def test_settings_of_a_later_stage_count_there(engine, setting):
    """The last stage, without the reset with which it begins, trains what the first has trained."""

    def continued(recipe):
        return {"stages": (recipe.stages[0], replace(recipe.stages[2], reset=()))}

    plain = trainer(engine=engine, stages=continued).run()
    changed = trainer(f"last.value.optimizer.value.{setting}", engine=engine, stages=continued)
    changed.run(until=10)
    assert torch.equal(part(changed, "value"), part(trainer(engine=engine).run(10), "value"))
    assert not torch.equal(part(changed.run(), "value"), part(plain, "value"))


def test_the_critics_weight_decay_of_cqls_second_stage_shrinks_it():
    def weights(*settings):
        small = ["critic.hidden=8", "sampler.hidden=8", "steps=20", "batch_size=8"]
        recipe = resolve("cql", [*small, *settings])
        assert [stage.steps for stage in recipe.stages] == [2, 18]
        return part(Trainer(recipe, DATA).run(), "critic").norm()

    at = "train.actor_critic.optimizer.critic"
    decayed = weights(f"{at}.weight_decay=300", f"{at}.decoupled=true")
    assert decayed < 0.6 * weights()


def two_updates(first, second, engine):
    """A stage of two updates of one part."""

    def changed(recipe):
        stage = recipe.stages[0]
        updates = tuple(
            Update(name, {"value": adam}, (Term("returns"),))
            for name, adam in (("one", first), ("two", second))
        )
        losses = {
            (stage.name, update.name, "returns"): recipe.losses["first", "value", "returns"]
            for update in updates
        }
        return {"stages": (replace(stage, updates=updates),), "losses": losses}

    return trainer(engine=engine, stages=changed)


@ENGINES
def test_each_of_two_updates_of_a_part_steps_with_its_own_settings(engine):
    """With a learning rate of 0 one of them only moves the moments."""
    decay = Adam(1e-2, weight_decay=10.0, decoupled=True)
    plain = Adam(1e-2)
    runs = {
        (a, b): part(two_updates(x, y, engine).run(until=10), "value")
        for a, x in (("plain", plain), ("decay", decay))
        for b, y in (("plain", plain), ("decay", decay))
    }
    values = list(runs.values())
    for i, one in enumerate(values):
        for other in values[:i]:
            assert not torch.equal(one, other)
    # Each factor of 1 - 0.1 is applied once in a step for each update that decays.
    norms = {key: float(value.norm()) for key, value in runs.items()}
    assert norms["decay", "decay"] < norms["plain", "decay"] < norms["plain", "plain"]


@ENGINES
@pytest.mark.parametrize("until", [7, 10, 15])
def test_a_resumed_run_steps_with_its_updates_settings(engine, until, tmp_path):
    """The file holds the settings of the last step, which need not be those of the next one."""

    def run():
        return two_updates(
            Adam(1e-2, beta1=0.5, eps=0.1, weight_decay=1.0),
            Adam(1e-3, weight_decay=0.1, decoupled=True),
            engine,
        )

    whole = run().run()
    half = run().run(until=min(until, 9))
    half.save(tmp_path / "run.pt")
    resumed = Trainer.load(tmp_path / "run.pt", half.recipe, DATA).run()
    expected = state(whole)
    assert all(torch.equal(value, expected[name]) for name, value in state(resumed).items())


@ENGINES
def test_a_reset_below_a_part_starts_that_one_from_scratch(engine):
    def reset(recipe):
        return {"stages": (*recipe.stages[:2], replace(recipe.stages[2], reset=("value.head",)))}

    run = trainer("last.value.optimizer.value.lr=1e-3", engine=engine, stages=reset)
    initial = part(run, "value.head")
    run.run(until=20)
    before = part(run, "value.body")
    run.run(until=21)
    # Adam's first step is the learning rate in each parameter; a later one of the body is not.
    moved = (part(run, "value.head") - initial).abs()
    assert float(moved.max()) <= 1e-3 * 1.0001
    assert float(moved.min()) > 0.99e-3 * 0.9
    kept = (part(run, "value.body") - before).abs()
    assert 0.0 < float(kept.max()) < 0.1
    target = torch.nn.utils.parameters_to_vector(run.agent().part("target.value.head").parameters())
    assert torch.equal(target, initial)


@ENGINES
def test_a_reset_run_is_resumed(engine, tmp_path):
    def reset(recipe):
        return {"stages": (*recipe.stages[:2], replace(recipe.stages[2], reset=("value.head",)))}

    whole = state(trainer(engine=engine, stages=reset).run())
    half = trainer(engine=engine, stages=reset).run(until=20)
    half.save(tmp_path / "run.pt")
    resumed = Trainer.load(tmp_path / "run.pt", half.recipe, DATA)
    assert all(torch.equal(value, whole[name]) for name, value in state(resumed.run()).items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reset": ("value.tail",)}, "resets 'value.tail'.*has no part 'tail'"),
        ({"reset": ("critic",)}, "resets 'critic', but the parts are"),
        ({"reset": ("target.value",)}, "resets 'target.value': name the part itself"),
        ({"trains": {"target.value": Adam()}}, "trains 'target.value': name the part itself"),
        (
            {"trains": {"value": Adam(), "value.head": Adam()}},
            "trains 'value' and 'value.head', which have parameters in common",
        ),
    ],
)
def test_paths_that_mean_nothing_are_refused_at_once(changes, message):
    recipe = resolve("toy", registry=REGISTRY)
    stage = recipe.stages[2]
    if "trains" in changes:
        changes = {"updates": (replace(stage.updates[0], **changes),)}
    stages = (*recipe.stages[:2], replace(stage, **changes))
    with pytest.raises(Incompatible, match=message):
        _check(replace(recipe, stages=stages))


def test_a_file_with_another_parts_optimizer_is_refused(tmp_path):
    run = trainer().run(until=3)
    run.save(tmp_path / "run.pt")
    content = torch.load(tmp_path / "run.pt", weights_only=True)
    for change in ({"critic": content["optimizers"]["value"]}, {"value": {"param_groups": []}}):
        torch.save({**content, "optimizers": change}, tmp_path / "other.pt")
        with pytest.raises(BadCheckpoint, match=r"other\.pt"):
            Trainer.load(tmp_path / "other.pt", run.recipe, DATA)
