"""One job in this process: what its record keeps, and what its failures say."""

import json
from functools import cache

import gymnasium
import pytest
import torch
from worlds import BANDIT

import zoo_leaderboard
from zoo_core import Diverged, Trainer, ZooError
from zoo_leaderboard.datasets import Dataset, find
from zoo_leaderboard.planning import single
from zoo_leaderboard.result import Protocol, Result
from zoo_leaderboard.running import execution, run, stretches
from zoo_leaderboard.store.lock import locked
from zoo_leaderboard.track import load_track

OPTIONS = {"episodes": 2, "evaluations": 2}


class Stop(Exception):
    pass


def test_metrics_are_kept_before_evaluations_and_at_the_ends_of_stages(world):
    result = zoo_leaderboard.train(
        "draws", BANDIT, settings={"steps": 400}, out="run", **OPTIONS
    ).result
    assert [(m.step, m.stage, m.steps) for m in result.training] == [
        (100, "before", 100),
        (200, "train", 100),
        (400, "train", 100),
    ]
    assert result.last_metrics == (result.training[0], result.training[2])
    for measured in result.training:
        loss = measured.metrics["actor/trouble_steady"]
        assert measured.metrics["actor/twice"] == pytest.approx(2.0 * loss)
    assert Result.model_validate_json((world / "run" / "result.json").read_bytes()) == result


def test_metrics_are_the_means_over_their_steps(world):
    result = zoo_leaderboard.train(
        "steady", BANDIT, settings={"steps": 150}, out="run", episodes=2, evaluations=1
    ).result
    job = single("steady", BANDIT, settings={"steps": 150})
    logs = []
    Trainer(job.recipe(), find(BANDIT).data).run(50).run(150, logs.append)
    (last,) = result.training
    assert last.metrics == pytest.approx(dict(logs[-1].metrics[0]), rel=1e-12)


INTERRUPTED = {"settings": {"steps": 300}, **OPTIONS}


@cache
def uninterrupted():
    """The metrics of the whole run, which are the same in each test's world."""
    return zoo_leaderboard.train("draws", BANDIT, out="whole", **INTERRUPTED).result.training


@pytest.mark.parametrize("stop", [40, 130, 180, 260])
def test_an_interrupted_run_keeps_the_same_metrics(world, monkeypatch, stop):
    """Wherever checkpoints fall: one at every chance."""
    monkeypatch.setattr(stretches, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(stretches, "REPORT_SECONDS", 0.005)

    def interrupt(progress):
        if progress.step >= stop:
            raise Stop

    with pytest.raises(Stop):
        zoo_leaderboard.train("draws", BANDIT, out="part", report=interrupt, **INTERRUPTED)
    steps = []
    part = zoo_leaderboard.train(
        "draws", BANDIT, out="part", report=lambda p: steps.append(p.step), **INTERRUPTED
    ).result
    assert part.training == uninterrupted()
    if stop > 75:
        assert steps[0] > 0


class Clock:
    """A clock on which everything takes a second."""

    def __init__(self):
        self.seconds = 0

    def perf_counter(self):
        self.seconds += 1
        return float(self.seconds)


class Remembering(gymnasium.Wrapper):
    """Pays more with every reset of a copy."""

    resets = 0

    def reset(self, **options):
        self.resets += 1
        return self.env.reset(**options)

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, reward * self.resets, *rest


def test_a_resumed_run_and_a_later_evaluation_agree_where_the_environment_remembers(
    world, monkeypatch
):
    plain = Dataset.make_env
    monkeypatch.setattr(Dataset, "make_env", lambda *args: Remembering(plain(*args)))

    def interrupt(progress):
        if progress.step >= 180:
            raise Stop

    def returns(result):
        return [(each.step, each.returns) for each in result.evaluations]

    whole = zoo_leaderboard.train("steady", BANDIT, out="whole", **INTERRUPTED).result
    with pytest.raises(Stop):
        zoo_leaderboard.train("steady", BANDIT, out="part", report=interrupt, **INTERRUPTED)
    part = zoo_leaderboard.train("steady", BANDIT, out="part", **INTERRUPTED).result
    assert part.times.attempts == 2
    assert returns(part) == returns(whole)
    again = zoo_leaderboard.evaluate(world / "part", episodes=OPTIONS["episodes"])
    assert again.returns == whole.evaluations[-1].returns


@pytest.mark.parametrize("killed_at", [30, 60, 90])
def test_time_is_counted_once_where_a_kill_came_between_the_two_files(
    world, monkeypatch, killed_at
):
    """Each step takes a second, so that the training's seconds are the steps."""
    clock = Clock()
    for module in (execution, run, stretches):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(stretches, "CHECKPOINT_SECONDS", 1e9)
    options = {"settings": {"steps": 90}, "episodes": 2, "evaluations": 3, "out": "run"}
    save, save_evaluations = Trainer.save, run.Run.save_evaluations

    def killed(trainer, path):
        if trainer.step >= killed_at:
            raise Stop
        save(trainer, path)

    def killed_at_the_end(self):
        save_evaluations(self)
        if self.progress.step >= killed_at == 90:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", killed)
        patch.setattr(run.Run, "save_evaluations", killed_at_the_end)
        with pytest.raises(Stop):
            zoo_leaderboard.train("steady", BANDIT, **options)
    saved = json.loads((world / "run" / "unfinished" / "evaluations.json").read_text())
    assert saved["evaluations"][-1]["step"] == killed_at
    result = zoo_leaderboard.train("steady", BANDIT, **options).result
    assert [e.step for e in result.evaluations] == [0, 30, 60, 90]
    assert result.times.training == 90.0
    assert result.times.attempts == (1 if killed_at == 30 else 2)


def test_a_folder_is_trained_in_by_one_process_at_a_time(world):
    options = {"settings": {"steps": 20}, "out": "run", **OPTIONS}
    with locked(world / "run" / "unfinished") as held:
        assert held
        with pytest.raises(ZooError, match=r"another process trains in run.*--out"):
            zoo_leaderboard.train("steady", BANDIT, **options)
        assert not (world / "run" / "result.json").exists()
    assert not zoo_leaderboard.train("steady", BANDIT, **options).already
    assert zoo_leaderboard.train("steady", BANDIT, **options).already
    assert not (world / "run" / "unfinished").exists()


def test_an_action_that_is_not_finite_tells_step_loss_and_checkpoint(world, monkeypatch):
    def acting(agent, job, name, step):
        return lambda observations: observations.new_full((len(observations), 2), bad[step])

    bad = {0: 0.0, 30: 0.0, 60: float("nan")}
    monkeypatch.setattr(execution, "_acting", acting)
    with pytest.raises(Diverged) as caught:
        zoo_leaderboard.train("steady", BANDIT, settings={"steps": 60}, out="run", **OPTIONS)
    text = str(caught.value)
    assert "'steady' diverged: the policy gave an action that is not finite (act 'act'" in text
    assert "after a loss of 0." in text
    assert "by step 60 (seed 0)" in text
    assert text.endswith("the last good checkpoint is run/unfinished/checkpoint.pt of step 30")
    assert (world / "run" / "unfinished" / "checkpoint.pt").exists()


def test_parameters_that_the_last_step_ruined_are_not_scored(world):
    settings = {"steps": 1, "train.actor.optimizer.sampler.lr": 1e38}
    with pytest.raises(Diverged, match=r"the part 'sampler' is not finite .* by step 1 "):
        zoo_leaderboard.train("steady", BANDIT, settings=settings, out="run", **OPTIONS)


def test_an_environment_that_cannot_be_made_costs_no_training(world, monkeypatch):
    def make_env(dataset, render_mode=None):
        raise ZooError("environment 'Arm-v0' cannot be made")

    monkeypatch.setattr(Dataset, "make_env", make_env)
    monkeypatch.setattr(execution, "Trainer", None)
    job = single("steady", BANDIT, protocol=Protocol(episodes=1, untrained=False))
    with pytest.raises(ZooError, match="Arm-v0"):
        execution.execute(job, run.Place(world / "agent.pt", world / "work"))


def test_qgpos_held_out_error_is_in_the_record(home, tmp_path, monkeypatch):
    pytest.importorskip("zoo_qgpo")
    monkeypatch.setenv("ZOO_HOME", str(home))
    assert load_track("demo").values("qgpo", BANDIT)["held_out"] == 0.05
    small = {"sampler.hidden": 8, "sampler.energy_hidden": 8, "critic.hidden": 8, "samples": 2}
    small |= {"steps": 40, "batch_size": 8, "behaviour_batch_size": 64, "sampler.steps": 2}
    shown = []
    trained = zoo_leaderboard.train(
        "qgpo",
        BANDIT,
        settings={**small, "scales": [3.0], "held_out": 0.05},
        out=tmp_path / "run",
        report=shown.append,
        **OPTIONS,
    )
    clone, train, guide = trained.result.last_metrics
    assert (clone.stage, train.stage, guide.stage) == ("clone", "train", "guide")
    assert clone.metrics["behaviour/held_out"] > 0.0
    assert set(clone.metrics) == {"behaviour/nll", "behaviour/held_out"}
    assert any("behaviour/held_out" in progress.metrics for progress in shown)
    evaluated = zoo_leaderboard.evaluate(tmp_path / "run", episodes=2)
    assert evaluated.metrics == (clone, train, guide)
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    assert content["training"][0]["stage"] == "clone"
    assert torch.isfinite(torch.tensor(list(clone.metrics.values()))).all()
