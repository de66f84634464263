import copy
from dataclasses import replace

import pytest
import torch
from toys import toy_registry

from zoo_core import (
    Adam,
    Agent,
    BadCheckpoint,
    Config,
    Diverged,
    Ema,
    GeneratorNoise,
    LossSpec,
    Term,
    Trainer,
    ZooError,
    drawn_actions,
    resolve,
)
from zoo_core.recipe import BoundLoss
from zoo_core.testing import toy_data

REGISTRY = toy_registry()
DATA = toy_data()


def recipe(*settings):
    return resolve("toy", list(settings), registry=REGISTRY)


def trainer(*settings, seeds=(0,), **options):
    return Trainer(recipe(*settings), DATA, seeds, dtype=torch.float64, **options)


def state(agent):
    return {name: value.clone() for name, value in agent.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_group_equals_its_solo_runs_over_all_stages():
    group = trainer(seeds=(3, 5, 8)).run()
    for position, seed in enumerate((3, 5, 8)):
        solo = state(trainer(seeds=(seed,)).run().agent())
        for name, value in state(group.agent(position)).items():
            torch.testing.assert_close(value, solo[name], rtol=1e-10, atol=1e-10)


def test_one_float32_update_of_a_group_equals_the_solo_updates():
    def run(seeds):
        return Trainer(recipe(), DATA, seeds).run(until=2)

    group = run((0, 1))
    for position, seed in enumerate((0, 1)):
        solo = run((seed,)).agent().state_dict()
        for name, value in group.agent(position).state_dict().items():
            torch.testing.assert_close(value, solo[name], rtol=1e-5, atol=1e-5)


def test_a_rerun_is_bit_equal_and_seeds_differ():
    first = state(trainer().run().agent())
    assert equal(first, state(trainer().run().agent()))
    assert not equal(first, state(trainer(seeds=(1,)).run().agent()))


@pytest.mark.parametrize("engine", ["solo", "vmap"])
@pytest.mark.parametrize("half", [0, 5, 10, 13, 20, 25])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, engine, half):
    whole = trainer(engine=engine).run()
    path = tmp_path / "half.pt"
    trainer(engine=engine).run(until=half).save(path)
    resumed = Trainer.load(path, recipe(), DATA)
    assert resumed.step == half
    assert equal(state(whole.agent()), state(resumed.run().agent()))


def test_saving_does_not_change_a_run(tmp_path):
    whole = state(trainer().run().agent())
    saved = trainer()
    for step in range(1, 30, 4):
        saved.run(until=step).save(tmp_path / "run.pt")
    assert equal(whole, state(saved.run().agent()))


def test_prepared_columns_are_files_that_a_second_run_finds(tmp_path):
    first = trainer(columns_dir=tmp_path).run()
    (folder,) = tmp_path.iterdir()
    assert [file.name for file in folder.iterdir()] == ["offset.npy"]

    def refuse(*_):
        raise AssertionError("prepared twice")

    again = trainer(columns_dir=tmp_path)
    object.__setattr__(again.recipe.stages[1], "prepare", refuse)
    assert equal(state(first.agent()), state(again.run().agent()))
    other = trainer(columns_dir=tmp_path, seeds=(1,))
    object.__setattr__(other.recipe.stages[1], "prepare", refuse)
    with pytest.raises(AssertionError, match="prepared twice"):
        other.run()


def test_each_update_changes_exactly_what_it_trains():
    run = trainer()
    before = state(run.agent())
    run.run(until=1)
    after = state(run.agent())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    # The actor and the average move in every second step only; target.value.body is live.
    assert {name.rpartition(".")[0] for name in changed - {"average_error_mean"}} == {
        "live.value.body",
        "live.value.head",
        "target.value.body",
    }
    run.run(until=2)
    later = state(run.agent())
    changed = {name for name in after if not torch.equal(after[name], later[name])}
    assert any(name.startswith("live.sampler.") for name in changed)
    assert any(name.startswith("target.value.head.") for name in changed)


def test_in_a_partly_averaged_target_the_rest_is_live():
    agent = trainer().run(until=9).agent()
    live, target = agent.part("value"), agent.part("target.value")
    assert target.body.weight is live.body.weight
    assert not torch.equal(target.head.weight, live.head.weight)


def test_the_average_follows_its_formula():
    run = trainer(seeds=(0,))
    target = run.agent().part("target.value.head").weight.clone()
    for step in range(1, 9):
        run.run(until=step)
        if step % 2 == 0:
            target.lerp_(run.agent().part("value.head").weight, 0.1)
        torch.testing.assert_close(run.agent().part("target.value.head").weight, target)


@pytest.mark.parametrize("engine", ["solo", "vmap"])
def test_an_average_after_an_update_is_seen_by_those_behind_it(engine):
    def seen(after):
        """The loss of the update `second`, which compares the value with its average."""
        stage = recipe().stages[0]
        first, second = (replace(stage.updates[1], name=name) for name in ("first", "second"))
        second = replace(second, trains={"sampler": Adam()}, losses=(Term("behind"),))
        emas = (Ema("value.head", rate=1.0, after=after),)
        changed = replace(recipe(), stages=(replace(stage, updates=(first, second), emas=emas),))
        changed = replace(changed, losses={**changed.losses, **bound("first"), **bound("second")})
        logs = []
        Trainer(changed, DATA, engine=engine, dtype=torch.float64).run(1, logs.append, 1)
        return logs[-1].metrics[0]["second/behind"]

    def bound(update):
        key = ("first", "value", "returns")
        losses = {(key[0], update, "returns"): recipe().losses[key]}
        spec = LossSpec("behind", Config, behind, {}, "|V - target V| + 0 log_std")
        return {**losses, (key[0], update, "behind"): BoundLoss(spec, Config())}

    assert seen("first") == 0.0
    assert seen(None) > 0.0


def behind(config):
    """How far the value is from its average; the sampler has something to train."""

    def loss(context):
        observations = context.batch.observations
        gap = context.part("value").v(observations) - context.target.part("value").v(observations)
        return gap.detach().abs().mean() + 0.0 * context.sampler.mode(observations).sum()

    return loss


def test_a_reset_part_starts_anew():
    run = trainer().run(until=21)
    moved = run.agent().part("value.body").weight - trainer().agent().part("value.body").weight
    # One step of Adam moves a parameter by at most its learning rate.
    assert moved.abs().max() <= 3e-4 * 1.01


def test_prepare_sees_earlier_columns_and_parts_before_their_reset(tmp_path):
    seen = {}

    def doubled(agent, data, noise):
        seen["weight"] = agent.part("value.body").weight.clone()
        return {"doubled": 2 * data.columns["offset"]}

    def patched(run):
        object.__setattr__(run.stages[2], "prepare", doubled)
        return run

    run = Trainer(patched(recipe()), DATA, dtype=torch.float64).run(until=20)
    last = run.agent().part("value.body").weight.clone()
    run.run(until=21)
    assert torch.equal(seen["weight"], last)
    assert not torch.allclose(run.agent().part("value.body").weight, last, atol=1e-3)
    assert torch.equal(run.columns[0]["doubled"], 2 * run.columns[0]["offset"])

    # The columns of both stages, which were only in memory, come back.
    run.save(tmp_path / "run.pt")
    resumed = Trainer.load(tmp_path / "run.pt", patched(recipe()), DATA)
    assert equal(run.columns[0], resumed.columns[0])
    assert equal(state(run.run().agent()), state(resumed.run().agent()))


def test_adding_a_term_shifts_no_other_draws():
    def cloned(*settings):
        run = trainer("sampler=ddpm", *settings).run(until=8)
        return {n: v for n, v in state(run.agent()).items() if n.startswith("live.sampler")}

    # The value's update draws other numbers, and the sampler's denoising noise stays the same.
    assert equal(cloned(), cloned("first.value.returns=noisy"))


def test_schedules_move_the_learning_rate():
    run = trainer("first.value.every=1000")
    before = run.agent().part("sampler.net").first.weight.clone()
    run.run(until=2)
    first_move = (run.agent().part("sampler.net").first.weight - before).abs().max()
    # The cosine from 1e-2 to 1e-3 is at progress 1/10 in the stage's second step.
    expected = 1e-3 + (1e-2 - 1e-3) * (1 + torch.cos(torch.tensor(torch.pi / 10))) / 2
    torch.testing.assert_close(float(first_move), float(expected), rtol=1e-4, atol=0.0)


def test_logs_report_means_and_rates():
    logs = []
    trainer(seeds=(0, 1)).run(log=logs.append, log_every=7)
    assert [log.step for log in logs] == [7, 14, 21, 28, 30]
    assert {log.stage for log in logs} == {"first", "second", "last"}
    assert all(len(log.metrics) == 2 and log.steps_per_second > 0 for log in logs)
    assert {"actor/nll", "value/returns", "value/error_mean"} <= set(logs[0].metrics[0])
    assert logs[0].metrics[0] != logs[0].metrics[1]


def test_a_divergence_names_the_loss_and_the_step():
    run = trainer("first.value.optimizer.value.lr=1e300")
    with pytest.raises(Diverged, match=r"'toy' diverged: .* by step 10 \(seed 0\)"):
        run.run(log_every=10)


def test_a_divergence_names_the_last_good_checkpoint(tmp_path):
    run = trainer("first.value.optimizer.value.lr=1e300")
    run.save(tmp_path / "start.pt")
    with pytest.raises(Diverged, match=r"last good checkpoint is .*start\.pt of step 0"):
        run.run(log_every=10)


def test_a_resumed_run_that_diverges_names_where_it_began(tmp_path):
    settings = "first.value.optimizer.value.lr=1e300"
    trainer(settings).save(tmp_path / "start.pt")
    resumed = Trainer.load(tmp_path / "start.pt", recipe(settings), DATA)
    with pytest.raises(Diverged, match=r"last good checkpoint is .*start\.pt of step 0"):
        resumed.run(log_every=10)


def test_ruined_parameters_are_never_the_last_good_checkpoint(tmp_path):
    """The step's own loss, taken before it, is finite, and so are the parameters that it left."""
    settings = ["steps=200", "lr=1e37", "critic.hidden=8", "sampler.hidden=8"]
    run = Trainer(resolve("td3_bc", settings), DATA)
    path = tmp_path / "run.pt"
    run.save(path)
    run.run(1)
    assert all(parameter.isfinite().all() for parameter in run.agent().parameters())
    for end in (lambda: run.save(path), run.check, run.run):
        with pytest.raises(Diverged, match=r"critic/.*last good checkpoint is .*run\.pt of step 0"):
            end()
    # The sound file is still there.
    assert Trainer.load(path, resolve("td3_bc", settings), DATA).step == 0


@pytest.mark.parametrize("engine", ["solo", "vmap"])
@pytest.mark.parametrize(
    ("path", "shown"), [("sampler.net", "sampler"), ("target.value.head", "target.value")]
)
def test_parameters_that_are_not_finite_are_not_saved(tmp_path, engine, path, shown):
    run = trainer(engine=engine).run(until=4)
    agent = run.agent()
    with torch.no_grad():
        next(agent.part(path).parameters()).view(-1)[-1] = float("nan")
    if engine == "vmap":
        run.engine.refresh()
    with pytest.raises(Diverged, match=rf"the part '{shown}' is not finite .* by step 4 \(seed 0"):
        run.save(tmp_path / "run.pt")
    assert not (tmp_path / "run.pt").exists()


def test_a_checkpoint_that_nobody_checked_is_not_called_good(tmp_path, monkeypatch):
    settings = "first.value.optimizer.value.lr=1e300"
    run = trainer(settings).run(until=1)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "check", lambda self: None)
        run.save(tmp_path / "run.pt")
    resumed = Trainer.load(tmp_path / "run.pt", recipe(settings), DATA)
    assert resumed.saved is None
    with pytest.raises(Diverged) as caught:
        resumed.run(log_every=10)
    assert "checkpoint" not in str(caught.value)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_check_changes_nothing(seeds):
    whole, looked = trainer(seeds=seeds).run(), trainer(seeds=seeds)
    for step in range(0, 31, 3):
        looked.run(until=step).check()
    for position in range(len(seeds)):
        assert equal(state(whole.agent(position)), state(looked.agent(position)))


def test_preparing_is_told_by_stage_and_share(monkeypatch):
    monkeypatch.setattr("zoo_core.drawing.ROWS", 1 + len(DATA.observations) // 4)

    def prepare(agent, data, noise):
        return {"offset": drawn_actions(agent, data, noise, 2).sum((1, 2))}

    told = []
    run = trainer(seeds=(0, 1))
    object.__setattr__(run.recipe.stages[1], "prepare", prepare)
    run.run(until=15, preparing=told.append)
    assert {(one.step, one.stage) for one in told} == {(10, "second")}
    assert [one.share for one in told] == [i / 8 for i in range(1, 9)]


SMALL = ["critic.hidden=8", "sampler.hidden=8"]


@pytest.mark.parametrize(("reward", "rate"), [(1.0, 1e4), (1e-12, 1e4)])
def test_values_beyond_any_return_are_a_divergence(reward, rate):
    data = toy_data()
    data.rewards[:] = reward
    recipe = resolve("td3_bc", ["steps=200", f"lr={rate}", *SMALL])
    bound = f"{1e8 * max(1.0, reward):g}".replace("+", r"\+")
    with pytest.raises(Diverged, match=rf"critic/q_mean is .*, beyond {bound}, by step"):
        Trainer(recipe, data).run(log_every=10)


def test_values_of_large_rewards_are_none():
    data = toy_data()
    data.rewards[:] = 1e9
    means = []
    recipe = resolve("td3_bc", ["steps=200", "lr=10", *SMALL])
    Trainer(recipe, data).run(log=lambda log: means.append(log.metrics[0]["critic/q_mean"]))
    assert max(means) > 1e8


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rewards", float("nan"), "rewards has NaN or infinity at row 5"),
        ("observations", float("-inf"), "observations has NaN or infinity at row 5"),
        ("actions", float("nan"), "actions has NaN or infinity at row 5"),
        ("actions", 10.0, r"actions leave \[-1, 1\] at row 5 \(10\)"),
        ("rewards", -3e38, r"rewards has -3e\+38 at row 5"),
    ],
)
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_bad_data_are_refused_before_any_step(name, value, message, seeds):
    data = toy_data()
    getattr(data, name)[5] = value
    with pytest.raises(ZooError, match=message):
        Trainer(recipe(), data, seeds)


@pytest.mark.parametrize(
    ("observations", "message"),
    [
        (torch.zeros(2, 5), r"observations \[2, 5\], not \[B, 3\]"),
        (torch.zeros(3), r"observations \[3\], not \[B, 3\]"),
        (torch.zeros(2, 3).numpy(), "of type ndarray"),
        (torch.tensor([[0.0, 0, 0], [0, float("nan"), 0]]), "NaN or infinity at row 1"),
        (torch.tensor([[0.0, 0, 1e309]]).double(), "NaN or infinity at row 0"),
    ],
)
def test_an_agent_acts_on_observations_that_fit(observations, message):
    agent = trainer().agent()
    with pytest.raises(ZooError, match=message):
        agent.act(observations, GeneratorNoise(torch.Generator()))


def test_an_agent_is_scaled_by_data_of_its_sizes():
    with pytest.raises(ZooError, match=r"'toy' has 4 observation and 2 action .* 3 and 2"):
        trainer().agent().fit_scaling(toy_data(observation_dim=4))


def test_the_global_generator_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    trainer(seeds=(0, 1)).run()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": ()}, "at least one"),
        ({"seeds": 3}, "whole numbers"),
        ({"seeds": (0, 1.5)}, "whole numbers"),
        ({"seeds": (1, 1)}, "different"),
        ({"seeds": (0, 1), "engine": "solo"}, "solo engine trains one seed"),
        ({"engine": "wmap"}, "did you mean 'vmap'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"device": "meta"}, "device 'meta' is not supported"),
    ],
)
def test_mistakes_get_one_line(options, message):
    with pytest.raises(ZooError) as caught:
        trainer(**options)
    assert message in str(caught.value)


def test_data_of_another_type_are_named():
    with pytest.raises(ZooError, match="of type dict"):
        Trainer(recipe(), {"observations": torch.zeros(2, 3)})


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for what is missing elsewhere")
def test_a_missing_gpu_gets_one_line():
    with pytest.raises(ZooError, match="use --device cpu"):
        trainer(device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_cuda_runs_equal_cpu_runs_up_to_their_noise(seeds):
    run = trainer(seeds=seeds, device="cuda").run()
    assert all(torch.isfinite(v).all() for v in state(run.agent()).values())


def test_an_agent_survives_its_file(tmp_path):
    agent = trainer().run().agent()
    agent.save(tmp_path / "agent.pt")
    loaded = Agent.load(tmp_path / "agent.pt", registry=REGISTRY)
    assert equal(state(agent), state(loaded))
    observations = DATA.observations[:4].double()

    def actions(which, act):
        noise = GeneratorNoise(torch.Generator().manual_seed(0), torch.float64)
        return which.act(observations, noise, act)

    for act in ("mode", "draw"):
        assert torch.equal(actions(agent, act), actions(loaded, act))
        assert actions(agent, act).abs().max() <= 1.0


def test_a_trainers_file_holds_each_seeds_agent(tmp_path):
    run = trainer(seeds=(4, 9)).run(until=5)
    run.save(tmp_path / "run.pt")
    nine = Agent.load(tmp_path / "run.pt", seed=9, registry=REGISTRY)
    assert equal(state(nine), state(run.agent(1)))
    with pytest.raises(BadCheckpoint, match=r"holds the seeds \[4, 9\], not 1"):
        Agent.load(tmp_path / "run.pt", seed=1, registry=REGISTRY)


def test_a_checkpoint_is_replaced_as_a_whole(tmp_path):
    run = trainer()
    run.run(until=3).save(tmp_path / "run.pt")
    run.run(until=6).save(tmp_path / "run.pt")
    assert {f.name for f in tmp_path.iterdir()} == {"run.pt"}
    assert Trainer.load(tmp_path / "run.pt", recipe(), DATA).step == 6


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "foreign", "folder", "missing"])
def test_a_damaged_checkpoint_gets_one_line(tmp_path, damage):
    path = tmp_path / "run.pt"
    trainer().run(until=3).save(path)
    content = path.read_bytes()
    if damage in {"folder", "missing"}:
        path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    elif damage != "missing":
        path.write_bytes({"empty": b"", "truncated": content[:500], "text": b"hello"}[damage])
    with pytest.raises(BadCheckpoint) as caught:
        Trainer.load(path, recipe(), DATA)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    trainer().run(until=3).save(path)
    with pytest.raises(BadCheckpoint, match="batch_size 8, not 5"):
        Trainer.load(path, recipe("batch_size=5"), DATA)
    with pytest.raises(BadCheckpoint, match="with data "):
        Trainer.load(path, recipe(), toy_data(seed=1))
    agent = tmp_path / "agent.pt"
    trainer().agent().save(agent)
    with pytest.raises(BadCheckpoint, match="agent only"):
        Trainer.load(agent, recipe(), DATA)


def edited(content, name, value):
    """A file's content with a field, or one below it, changed or removed."""
    *above, last = name.split("/")
    fields = content
    for key in above:
        fields = next(iter(fields.values())) if key == "*" else fields[key]
    if value is None:
        del fields[last]
    else:
        fields[last] = value
    return content


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        *((name, None, f"no valid '{name}'") for name in ("seeds", "settings", "engine", "step")),
        ("stage", "0", "no valid 'stage'"),
        ("stage", 7, "no step 10 of stage 7"),
        ("step", -1, "no step -1 of stage 0"),
        ("step", 10**6, "no step 1000000 of stage 0"),
        ("dtype", "float99", "no dtype 'float99'"),
        ("seeds", [], "seeds, agents and space"),
        ("agents", [], "seeds, agents and space"),
        ("generators", [], "random numbers"),
        ("optimizers/*/state/*/exp_avg", torch.zeros(3), "moments of parameter 0"),
        ("optimizers/*/state/*/exp_avg_sq", None, "optimizer of .*exp_avg_sq"),
    ],
)
def test_an_edited_checkpoint_gets_one_line(tmp_path, name, value, message):
    recipe = resolve("toy", registry=REGISTRY)
    Trainer(recipe, DATA).run(until=10).save(tmp_path / "run.pt")
    content = torch.load(tmp_path / "run.pt", weights_only=True)
    torch.save(edited(content, name, value), tmp_path / "run.pt")
    with pytest.raises(BadCheckpoint, match=message) as caught:
        Trainer.load(tmp_path / "run.pt", recipe, DATA)
    assert "run.pt" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"semantics": 1}, "semantics 1 .*start from scratch"),
        ({"semantics": 99}, "semantics 99 .*start from scratch"),
        ({"device": "cuda"}, "written on cuda, whose random numbers cpu cannot continue"),
    ],
)
def test_training_resumes_under_its_conditions_only(tmp_path, changes, message):
    path = tmp_path / "run.pt"
    run = trainer().run(until=3)
    run.save(path)
    torch.save({**torch.load(path, weights_only=True), **changes}, path)
    with pytest.raises(BadCheckpoint, match=message) as caught:
        Trainer.load(path, recipe(), DATA)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200 + len(str(path))
    # A policy only acts, as the settings in its file say.
    assert equal(state(Agent.load(path, registry=REGISTRY)), state(run.agent()))


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_saving_leaves_the_next_log_whole(tmp_path, seeds):
    """A metric's value at each step is known from a log of every step."""
    each = []
    trainer(seeds=seeds).run(until=10, log=each.append, log_every=1)
    run = trainer(seeds=seeds)
    run._enter()
    for step in range(1, 11):
        run._advance(run.recipe.stages[0])
        if step in {3, 7}:
            run.save(tmp_path / "run.pt")
    last = run._report()
    for position in range(len(seeds)):
        values = [log.metrics[position]["value/returns"] for log in each]
        assert last[position]["value/returns"] == pytest.approx(sum(values) / 10, rel=1e-12)


def test_columns_are_those_of_a_device_and_of_the_semantics(tmp_path, monkeypatch):
    def folders():
        return {path.name for path in tmp_path.iterdir()}

    trainer(columns_dir=tmp_path).run(until=11)
    first = folders()
    monkeypatch.setattr("zoo_core.training.SEMANTICS", 99)
    trainer(columns_dir=tmp_path).run(until=11)
    second = folders()
    assert len(second) == 2 and first < second
    other = trainer(columns_dir=tmp_path)
    other.device = torch.device("cpu", 0)
    other.run(until=11)
    assert folders() == second


@pytest.mark.parametrize("path", ["target.value", "value.head"])
def test_columns_depend_on_what_prepare_reads(tmp_path, path):
    """Two runs whose targets differ must not share them."""

    def run(rate):
        run = trainer(f"first.emas.value.head.rate={rate}", columns_dir=tmp_path)
        object.__setattr__(run.recipe.stages[1], "prepare_reads", (path,))
        run.run(until=11)

    run(0.1)
    run(0.5)
    # The loss `returns` reads the target with a factor of 0, so that the live part is the same.
    assert len(list(tmp_path.iterdir())) == (2 if path == "target.value" else 1)


def test_unwritable_places_get_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="cannot write the checkpoint"):
        trainer().save(tmp_path / "file" / "run.pt")


def test_agents_share_their_recipe_when_copied():
    agent = trainer().agent()
    assert copy.deepcopy(agent).recipe is agent.recipe
