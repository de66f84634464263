"""The commands, in this process: what they print, and one line with code 2 for mistakes."""

import json
import re

import pytest
import torch
from worlds import BANDIT

from zoo_core.cli import main

TRACK = f"""
name = "mine"
summary = "made up"
seeds = [0]
datasets = ["{BANDIT}"]

[protocol]
episodes = 2
evaluations = 2

[defaults]
steps = 20
batch_size = 8
"""


@pytest.fixture
def zoo(world, capsys):
    """Calls the command and gives (exit code, stdout, stderr)."""
    (world / "track.toml").write_text(TRACK)

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def run(zoo, world):
    """A finished run's folder."""
    options = ["--set", "steps=30", "--episodes", 2, "--evaluations", 3]
    code, out, err = zoo("train", "steady", BANDIT, *options, "--out", "run")
    assert code == 0, err
    assert "after 30 steps" in out
    return world / "run"


def test_datasets_lists_what_there_is(zoo):
    code, out, _ = zoo("datasets")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith(BANDIT)]
    assert "80" in line
    assert "0.4225 to 5" in line


def test_train_and_evaluate_print_the_trainings_metrics(zoo):
    options = ["--set", "steps=40", "--episodes", 2, "--evaluations", 1]
    code, out, err = zoo("train", "draws", BANDIT, *options, "--out", "run")
    assert code == 0, err
    lines = [line for line in out.splitlines() if line.startswith("    ")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"    actor/trouble_steady \S+  actor/twice \S+", line)
    code, out, _ = zoo("evaluate", "run", "--episodes", 2)
    assert code == 0
    assert "training, stage before, mean over 10 steps up to 10: actor/trouble_steady " in out
    assert "training, stage train, mean over 30 steps up to 40: actor/trouble_steady " in out


def test_train_leaves_a_record_and_a_policy_and_does_not_train_twice(run, zoo):
    record = json.loads((run / "result.json").read_text())
    assert [e["step"] for e in record["evaluations"]] == [0, 10, 20, 30]
    assert record["ingredients"]["config"]["steps"] == 30
    assert record["versions"]["zoo-trouble"] == "1.0"
    assert not (run / "unfinished").exists()
    before = (run / "result.json").stat().st_mtime_ns
    options = ["--set", "steps=30", "--episodes", 2, "--evaluations", 3, "--out", "run"]
    code, out, _ = zoo("train", "steady", BANDIT, *options)
    assert code == 0
    assert "finished before" in out
    assert (run / "result.json").stat().st_mtime_ns == before
    code, _, err = zoo("train", "steady", BANDIT, *options, "--seed", 1)
    assert code == 2
    assert "holds another run (seed); choose another folder with --out" in err


@pytest.mark.parametrize("what", ["", "result.json", "agent.pt"])
def test_evaluate_takes_a_folder_a_record_or_a_policy(run, zoo, what):
    code, out, err = zoo("evaluate", run / what, "--episodes", 3)
    assert code == 0, err
    assert f"steady (act) on {BANDIT}, 3 episodes" in out
    assert "score" in out


def test_evaluate_needs_to_know_the_environment(run, zoo, world):
    (run / "agent.pt").rename(world / "lonely.pt")
    code, _, err = zoo("evaluate", "lonely.pt")
    assert (code, err.count("\n")) == (2, 1)
    assert "name its --dataset" in err
    code, _, _ = zoo("evaluate", "lonely.pt", "--dataset", BANDIT)
    assert code == 0
    code, _, err = zoo("evaluate", run)
    assert "its file is missing" in err
    code, _, err = zoo("evaluate", "lonely.pt", "--dataset", BANDIT, "--act", "nod")
    assert "unknown act 'nod'" in err


def test_run_table_and_plot(zoo, world):
    options = ["--track", "track.toml", "--store", "store"]
    run = ["leaderboard", "run", *options, "--algorithm", "steady", "--algorithm", "raises"]
    code, out, _ = zoo(*run, "--set", "steps=40", "--dry-run")
    assert code == 0
    assert "2 runs: 0 finished, 2 to run" in out
    assert f"steady (steps=40) on {BANDIT}, seed 0, 40 steps" in out
    assert not (world / "store").exists()

    code, out, err = zoo(*run, "--set", "steps=40")
    assert code == 1
    assert "failed: raises (steps=40)" in err
    assert "the plugin's own mistake" in err
    (place,) = re.findall(r"^    traceback: (.*)$", err, re.MULTILINE)
    assert "Traceback" in json.loads((world / place).read_text())["failure"]["traceback"]
    assert "1 finished now, 0 before, 1 without a score" in out
    code, out, _ = zoo(*run, "--set", "steps=40")
    assert code == 1
    assert "0 finished now, 1 before" in out

    for style, sign in (
        ("markdown", "| steady (steps=40) |"),
        ("csv", "steady (steps=40),steady,default"),
        ("latex", r"\toprule"),
        ("json", '"row": "steady (steps=40)"'),
    ):
        code, out, _ = zoo("leaderboard", "table", *options, "--format", style)
        assert code == 0
        assert sign in out
    code, out, _ = zoo("leaderboard", "table", *options)
    assert code == 0
    assert re.search(r"^ *- +raises \(steps=40\) .* failed +1 failed$", out, re.MULTILINE)
    assert "the plugin's own mistake" in out
    assert "|" not in out.split("whole table")[0]
    assert "| steady (steps=40) |" in zoo("leaderboard", "table", *options, "--full")[1]
    code, out, _ = zoo("leaderboard", "table", *options, "--out", "tables/table.md")
    assert (world / "tables" / "table.md").read_text().count("ValueError") == 1
    code, out, _ = zoo("leaderboard", "published", *options, "--out", "tables/published.md")
    assert code == 0
    assert f"{BANDIT}: no published dataset" in (world / "tables" / "published.md").read_text()
    code, out, _ = zoo("leaderboard", "plot", *options)
    assert (world / "store" / "mine.png").stat().st_size > 5000

    (record,) = (world / "store" / "results" / "steady").rglob("*.json")
    record.write_text(record.read_text()[:100])
    code, out, err = zoo("leaderboard", "table", *options)
    assert code == 0
    assert err.count("\n") == 1
    assert f"damaged result file {record.relative_to(world)}" in err
    assert "damaged" in out
    code, out, err = zoo(*run, "--set", "steps=40")
    assert code == 1
    assert "damaged result file" in err
    assert len(record.read_text()) == 100
    code, _, err = zoo("evaluate", record)
    assert code == 2
    assert "damaged result file" in err


MISTAKES = [
    (["train", "steadi", BANDIT], "unknown algorithm 'steadi'; did you mean 'steady'?"),
    (["train", "steady", "test/bandit-v1"], "did you mean 'test/bandit-v0'"),
    (["train", "steady", "what is this"], "is no dataset id"),
    (["train", "steady", BANDIT, "--set", "stepz=5"], "unknown setting of steady 'stepz'"),
    (["train", "steady", BANDIT, "--set", "steps=0"], "steps: input should be greater than 0"),
    (["train", "steady", BANDIT, "--set", "steps"], "not of the form PATH=VALUE"),
    (["train", "steady", BANDIT, "--set", "sampler=nope"], "unknown part 'nope'"),
    (["train", "steady", BANDIT, "--device", "tpu"], "unknown device 'tpu'"),
    (["train", "steady", BANDIT, "--device", "cuda:99"], "CUDA"),
    (["train", "steady", BANDIT, "--seed", "-1"], "-1 is not in the range"),
    (["train", "steady", BANDIT, "--out", "track.toml/x"], "cannot write to track.toml/x"),
    (["evaluate", "nowhere"], "no run or checkpoint at nowhere"),
    (["evaluate", "track.toml"], "track.toml is damaged or no checkpoint"),
    (["evaluate", "."], "holds no run"),
    (["leaderboard", "run", "--track", "deno"], "unknown track 'deno'; did you mean 'demo'?"),
    (["leaderboard", "run", "--track", "no.toml"], "cannot read the track no.toml"),
    (["leaderboard", "run", "--track", "bad.toml"], "track bad.toml: seeds"),
    (["leaderboard", "run", "--track", "worse.toml"], "track worse.toml: "),
    (["leaderboard", "run", "--seeds", "1-x"], "seeds '1-x' are not of a form"),
    (["leaderboard", "run", "--seeds", "5-1"], "runs backwards"),
    (["leaderboard", "run", "--algorithm", "nobody"], "unknown algorithm 'nobody'"),
    (["leaderboard", "run", "--variant", "best"], "'best' is not one of"),
    (["leaderboard", "run", "--dataset", "zoo/bandit/modes-v9"], "unknown dataset"),
    (["leaderboard", "table", "--store", "nowhere"], "no store at nowhere"),
    (["leaderboard", "table", "--format", "html"], "'html' is not one of"),
    (["leaderboard", "plot", "--store", "."], "no run of track 'demo'"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_line_and_code_2(zoo, world, monkeypatch, arguments, message):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (world / "bad.toml").write_text(TRACK.replace("[0]", '"all"'))
    (world / "worse.toml").write_text("name = ")
    code, out, err = zoo(*arguments)
    assert message in err
    assert code == 2
    assert err.startswith("zoo: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err + out


def test_an_unwritable_store_is_refused_before_any_work(zoo, world):
    (world / "file").write_text("")
    options = ["--track", "track.toml", "--algorithm", "steady", "--store", "file/store"]
    code, _, err = zoo("leaderboard", "run", *options)
    assert code == 2
    assert "cannot write to the store file/store" in err
    assert "ZOO_RUNS" in err


def test_a_damaged_checkpoint_is_one_line(run, zoo):
    path = run / "agent.pt"
    path.write_bytes(path.read_bytes()[:500])
    code, _, err = zoo("evaluate", run)
    assert (code, err.count("\n")) == (2, 1)
    assert "is damaged or no checkpoint" in err


def test_training_goes_on_after_an_interruption_and_equals_an_uninterrupted_one(zoo, world):
    import zoo_leaderboard
    from zoo_core import Agent

    options = {"settings": {"steps": 40}, "episodes": 2, "evaluations": 4}

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.step >= 31:
            raise Stop

    whole = zoo_leaderboard.train("steady", BANDIT, out="whole", **options)
    with pytest.raises(Stop):
        zoo_leaderboard.train("steady", BANDIT, out="part", report=stop, **options)
    assert (world / "part" / "unfinished" / "checkpoint.pt").exists()
    steps = []
    part = zoo_leaderboard.train(
        "steady", BANDIT, out="part", report=lambda p: steps.append(p.step), **options
    )
    assert steps[0] == 30
    assert part.result.times.attempts == 2

    def timeless(result):
        dumped = result.model_dump(exclude={"times", "peak_memory"})
        for evaluation in dumped["evaluations"]:
            del evaluation["seconds"]
        return dumped

    assert timeless(part.result) == timeless(whole.result)
    states = [Agent.load(run.folder / "agent.pt").state_dict() for run in (whole, part)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.fixture
def broken(monkeypatch):
    """Installs, beside the others, a plugin whose stages() raises."""
    import dataclasses

    from zoo_core import hookimpl, registry
    from zoo_core.registry import Plugin

    loaded = registry.installed()
    steady = loaded.algorithm("steady")

    def stages(config):
        raise AttributeError("no such thing")

    class Broken:
        @hookimpl
        def zoo_algorithms(self):
            return [dataclasses.replace(steady, name="broken", stages=stages)]

    loaded.add(Broken(), Plugin("broken", "zoo-broken", "1", "broken"))
    return loaded


def test_a_plugin_that_cannot_say_its_stages_is_left_out(zoo, broken):
    options = ["--track", "track.toml", "--dry-run", "--set", "steps=10"]
    code, out, err = zoo("leaderboard", "run", *options)
    assert code == 0, err
    assert "its stages() raised AttributeError: no such thing" in err
    assert "steady" in out
    code, _, err = zoo("leaderboard", "run", *options, "--algorithm", "broken")
    assert code == 2
    assert err.count("\n") == 1


def test_a_setting_applies_to_the_algorithms_that_have_its_path(zoo):
    options = ["--track", "track.toml", "--dry-run", "--algorithm", "steady"]
    code, _, err = zoo("leaderboard", "run", *options, "--set", "no.such.path=3")
    assert code == 2
    assert "unknown setting of steady 'no.such.path'" in err
