"""Where a run's curves go: what arrives there, and that no tracker can harm a run."""

import importlib.util
import json
import math
import random
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from worlds import BANDIT, zoo

import zoo_leaderboard
from zoo_core import TrackerSpec, UnknownName, ZooError, load, registry
from zoo_core.registry import Registered
from zoo_leaderboard.planning import single
from zoo_leaderboard.result import Result
from zoo_leaderboard.running import run, stretches
from zoo_leaderboard.running.tracking import Trackers, chosen, run_path

OPTIONS = {"episodes": 2, "evaluations": 2}


class Stop(Exception):
    pass


def stopping_at(step):
    def report(progress):
        if progress.step >= step:
            raise Stop

    return report


def train(out="run", trackers=("tensorboard",), **options):
    options = {**OPTIONS, "settings": {"steps": 60}, **options}
    return zoo_leaderboard.train("steady", BANDIT, out=out, trackers=trackers, **options).result


def events(folder):
    """The events of a folder's files, as TensorBoard's format of records has them."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(Path(folder).glob("events.out.tfevents.*")):
        content = path.read_bytes()
        position = 0
        while position < len(content):
            (length,) = struct.unpack_from("<Q", content, position)
            yield Event.FromString(content[position + 12 : position + 12 + length])
            position += 16 + length


def points(folder):
    """{curve: {step: value}}"""
    found = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def expected(result):
    """{curve: {step: value}} that a record implies; the speed of training is in none."""
    curves = {"evaluation/score": dict(result.curve())}
    curves["evaluation/return"] = {e.step: e.mean_return for e in result.evaluations}
    for diagnosed in result.diagnostics:
        for name, value in diagnosed.values.items():
            curves.setdefault(f"diagnostics/{name}", {})[diagnosed.step] = value
    for measured in result.training:
        for name, value in measured.metrics.items():
            curves.setdefault(f"train/{name}", {})[measured.step] = value
    return curves


def test_event_files_hold_the_records_values(world):
    result = train()
    found = points("run/trackers/tensorboard")
    speeds = found.pop("train/steps_per_second")
    assert set(speeds) >= {30, 60} and all(speed > 0.0 for speed in speeds.values())
    assert all(length == {0: 1.0, 30: 1.0, 60: 1.0} for length in [found.pop("evaluation/length")])
    for curve, values in expected(result).items():
        assert {step: found[curve][step] for step in values} == pytest.approx(values, rel=1e-6)
    assert set(found) == set(expected(result))
    (config,) = [
        value.tensor.string_val[0].decode()
        for event in events("run/trackers/tensorboard")
        for value in event.summary.value
        if value.HasField("tensor")
    ]
    lines = [line.removeprefix("    ") for line in config.splitlines()]
    assert json.loads("\n".join(lines))["steps"] == 60


@pytest.mark.parametrize("stop", [35, 50])
def test_tensorboard_shows_an_interrupted_run_once(world, monkeypatch, stop):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr(run, "TRACKED_SECONDS", 0.0)
    with pytest.raises(Stop):
        train(report=stopping_at(stop))
    result = train()
    assert result.times.attempts == 2
    seen = accumulator.EventAccumulator("run/trackers/tensorboard").Reload()
    for curve, values in expected(result).items():
        shown = [(s.step, s.value) for s in seen.Scalars(curve)]
        steps = [step for step, _ in shown]
        assert steps == sorted(set(steps)), curve
        assert {step: dict(shown)[step] for step in values} == pytest.approx(values, rel=1e-6)


def test_the_trackers_change_no_result(world):
    with_one, without = train("one"), train("none", ())
    assert not (world / "none" / "trackers").exists()
    for field in ("key", "score", "training", "diagnostics"):
        assert getattr(with_one, field) == getattr(without, field)


def test_all_acts_have_curves(home, tmp_path, monkeypatch):
    pytest.importorskip("zoo_sac_off")
    monkeypatch.setenv("ZOO_HOME", str(home))
    small = {"steps": 10, "sampler.hidden": 4, "critic.hidden": 4, "batch_size": 4}
    result = zoo_leaderboard.train(
        "sac_off", BANDIT, out=tmp_path, settings=small, trackers=["tensorboard"], **OPTIONS
    ).result
    found = points(tmp_path / "trackers" / "tensorboard")
    mode, sample = (e for e in result.evaluations if e.step == 10)
    assert found["evaluation/return"][10] == pytest.approx(mode.mean_return)
    assert found["evaluation/sample/return"] == {10: pytest.approx(sample.mean_return)}
    last = result.diagnostics[-1]
    assert found["diagnostics/q_policy"][10] == pytest.approx(last.q_policy)
    assert found["diagnostics/q_high"][10] == pytest.approx(last.q_high)


COMMAND = ["--algorithm", "steady", "--dataset", BANDIT, "--seeds", "0", "--set", "steps=60"]


@pytest.mark.slow
def test_jobs_write_below_the_store(world):
    process = zoo("leaderboard", "run", *COMMAND, cwd=world)
    assert process.returncode == 0, process.stderr
    (record,) = (world / "runs").glob("results/**/*.json")
    result = Result.model_validate_json(record.read_bytes())
    folder = world / "runs/trackers/tensorboard/steady (steps=60)" / BANDIT
    found = points(folder / f"seed0-{result.key[:8]}")
    assert found["evaluation/score"][60] == pytest.approx(result.score, rel=1e-6)


@pytest.mark.slow
def test_none_writes_nothing(world):
    assert zoo("leaderboard", "run", *COMMAND, "--tracker", "none", cwd=world).returncode == 0
    assert list((world / "runs").glob("results/**/*.json"))
    assert not (world / "runs" / "trackers").exists()


@pytest.mark.parametrize("when", ["build", "scalars", "ended", "exits"])
def test_a_tracker_that_raises_is_off_and_harms_nothing(world, capfd, when):
    plain = train("plain", ())
    capfd.readouterr()
    result = train("tracked", (f"bad_{when}", "tensorboard"))
    for field in ("key", "score", "training", "evaluations"):
        kept = [getattr(r, field) for r in (result, plain)]
        if field == "evaluations":
            kept = [[e.returns for e in evaluations] for evaluations in kept]
        assert kept[0] == kept[1]
    kind = "SystemExit" if when == "exits" else "RuntimeError"
    lines = capfd.readouterr().out.splitlines()
    assert lines == [f"tracker 'bad_{when}' is off for this run: {kind}: made up"]
    assert points("tracked/trackers/tensorboard")["evaluation/score"][60] == pytest.approx(
        result.score, rel=1e-6
    )


@pytest.mark.slow
def test_a_tracker_in_a_job_that_raises_leaves_the_cell_alone(world):
    process = zoo("leaderboard", "run", *COMMAND, "--tracker", "bad_scalars", cwd=world)
    assert process.returncode == 0, process.stderr
    assert "1 finished now" in process.stdout


def test_a_tracker_hears_of_the_run_and_of_its_end(world, monkeypatch):
    train(trackers=["keeps"])
    (kept,) = sys.modules["zoo_trouble"].Keeps.all
    assert (kept.run.row, kept.run.dataset, kept.run.seed) == ("steady (steps=60)", BANDIT, 0)
    assert kept.run.config["steps"] == kept.run.total_steps == 60
    assert kept.run.step == 0
    assert kept.run.name == f"steady (steps=60) on {BANDIT}, seed 0"
    assert kept.end == ""
    monkeypatch.setattr(stretches, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Stop):
        train("other", ["keeps"], report=stopping_at(40), seed=1)
    assert sys.modules["zoo_trouble"].Keeps.all[-1].end == "Stop: "
    train("other", ["keeps"], seed=1)
    again = sys.modules["zoo_trouble"].Keeps.all[-1]
    assert again.run.step == 30
    assert again.run.key == sys.modules["zoo_trouble"].Keeps.all[-2].run.key
    with pytest.raises(ValueError, match="own mistake"):
        zoo_leaderboard.train("raises", BANDIT, out="bad", trackers=["keeps"], **OPTIONS)
    assert sys.modules["zoo_trouble"].Keeps.all[-1].end == "ValueError: the plugin's own mistake"


def test_an_external_learner_is_tracked(world):
    result = zoo_leaderboard.train(
        "outsider", BANDIT, out="run", trackers=["tensorboard"], **OPTIONS
    ).result
    step = result.total_steps
    found = points("run/trackers/tensorboard")
    assert found["evaluation/score"] == {step: pytest.approx(result.score, rel=1e-6)}
    assert set(found) >= {"diagnostics/action_distance"}


def test_what_cannot_be_used_is_one_line_before_anything_runs(world):
    known = registry.installed()
    assert chosen(["none", "tensorboard", "tensorboard"], known) == ("tensorboard",)
    with pytest.raises(UnknownName, match="'tensorbord'; did you mean 'tensorboard'"):
        train(trackers=["tensorbord"])
    with pytest.raises(ZooError, match=r"'absent' needs no_such_module: pip install 'x\[y\]'"):
        train(trackers=["absent"])
    assert not (world / "run").exists()
    failed = zoo("leaderboard", "run", *COMMAND, "--tracker", "absent", cwd=world)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert not (world / "runs").exists()


def test_a_missing_module_is_told_with_what_to_install():
    spec = TrackerSpec("x", build=lambda run: None, needs=("json", "no_such_module"))
    with pytest.raises(ZooError, match="needs no_such_module: pip install 'no_such_module'"):
        spec.check()
    TrackerSpec("x", build=lambda run: None, needs=("json",)).check()


@pytest.mark.parametrize("text", ["../../up", "..", "a/b", "x" * 400, "a\x00b", "<b>"])
def test_no_name_leads_out_of_the_trackers_folder(world, text):
    job = single("steady", BANDIT)
    cell = job.cell.model_copy(update={"settings": {"path": text}, "dataset": f"{text}/set"})
    base = world / "base"
    path = base / run_path(job.model_copy(update={"cell": cell}))
    assert path.resolve().is_relative_to(base) and path != base
    path.mkdir(parents=True)


MLFLOW = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None or importlib.util.find_spec("sqlalchemy") is None,
    reason="needs mlflow with its database",
)


def runs_of_mlflow(uri, experiment="zoo/train"):
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return client, client.search_runs([found.experiment_id])


@MLFLOW
def test_mlflow_holds_the_records_values(world, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = train(trackers=["mlflow"])
    client, (run,) = runs_of_mlflow(f"sqlite:///{world}/run/trackers/mlflow/mlflow.db")
    assert run.info.status == "FINISHED"
    assert run.data.tags["row"] == "steady (steps=60)"
    assert run.data.params["steps"] == "60"
    assert run.data.params["sampler"] == '"deterministic"'
    for curve, values in expected(result).items():
        history = client.get_metric_history(run.info.run_id, curve)
        assert {m.step: m.value for m in history if m.step in values} == pytest.approx(values)


@MLFLOW
def test_mlflow_goes_on_with_an_interrupted_run(world, monkeypatch):
    uri = f"sqlite:///{world}/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(Stop):
        train(trackers=["mlflow"], report=stopping_at(45))
    _, (broken,) = runs_of_mlflow(uri)
    assert (broken.info.status, broken.data.tags["failure"]) == ("FAILED", "Stop: ")
    result = train(trackers=["mlflow"])
    _, (whole,) = runs_of_mlflow(uri)
    assert whole.info.run_id == broken.info.run_id
    assert whole.info.status == "FINISHED"
    assert math.isclose(whole.data.metrics["evaluation/score"], result.score)


@MLFLOW
def test_a_database_that_cannot_be_made_switches_mlflow_off(world, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/no/such.db")
    assert train(trackers=["mlflow"]).status == "finished"
    assert "tracker 'mlflow' is off for this run" in capfd.readouterr().out


def test_a_tracker_changes_no_number(tmp_path):
    class Wild:
        def __init__(self, run):
            torch.set_default_dtype(torch.float64)

        def scalars(self, step, values):
            torch.set_grad_enabled(False)
            torch.manual_seed(0)
            random.seed(0)

        def ended(self, failure):
            np.random.seed(0)
            raise SystemExit

    known = load(only=())
    known.trackers["wild"] = Registered(TrackerSpec("wild", Wild), known.plugins[0])
    cell = SimpleNamespace(row="a", dataset="b", seed=0)
    settings = SimpleNamespace(config={})
    job = SimpleNamespace(
        trackers=("wild",), cell=cell, track="t", key="k", ingredients=settings, total_steps=1
    )
    drawn = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with Trackers(job, known, tmp_path) as trackers:
        trackers.start(0)
        trackers.scalars(1, {})
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), drawn[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == drawn[1:]
