"""`kill -9` in the middle of a leaderboard run, then the same command."""

import json
import re
import signal
import subprocess
import sys

from worlds import BANDIT, processes_with, start, waited, zoo

import zoo_leaderboard
from zoo_leaderboard.result import Result
from zoo_leaderboard.track import load_track

TRACK = f"""
name = "mine"
summary = "made up"
seeds = [0, 1, 2]
datasets = ["{BANDIT}"]

[protocol]
episodes = 2
evaluations = 4

[defaults]
steps = 240
batch_size = 16
delay = 0.004
"""


def records(store):
    return {path: path.stat().st_mtime_ns for path in store.glob("results/**/*.json")}


def forget_costs(store):
    """Takes out of a store's records what differs between equal runs: time and memory."""
    for path in store.glob("results/**/*.json"):
        content = json.loads(path.read_text())
        content["times"] |= {"training": 1.0, "evaluation": 1.0, "setup": 1.0, "attempts": 1}
        path.write_text(json.dumps({**content, "peak_memory": 1}))


def test_a_killed_run_goes_on_where_it_stopped(world):
    (world / "track.toml").write_text(TRACK)
    whole, killed = world / "whole", world / "killed"
    track = load_track("track.toml")
    assert zoo_leaderboard.run(track, algorithms=["steady"], store=whole, workers=1).finished == 3

    options = ["--track", "track.toml", "--algorithm", "steady", "--workers", "1"]
    command = ["leaderboard", "run", *options, "--store", "killed"]
    runner = subprocess.Popen([sys.executable, "-m", "zoo_core", *command], cwd=world)
    waited(lambda: records(killed))
    # The second job is under way and has a checkpoint to go on from.
    waited(lambda: list(killed.glob("unfinished/*/checkpoint.pt")))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    # No worker outlives its runner.
    waited(lambda: not processes_with(f"PYTHONPATH={world.parent}/site"), 20.0)
    done = records(killed)
    assert 1 <= len(done) < 3
    (unfinished,) = {path.parent.name for path in killed.glob("unfinished/*/checkpoint.pt")}
    planned = zoo_leaderboard.prepare(track, algorithms=["steady"], store=killed)
    notes = {item.job.key: item.note for item in planned}
    assert notes.pop(unfinished) == "continues from its checkpoint"
    assert set(notes.values()) == {""}

    again = zoo(*command, cwd=world)
    assert again.returncode == 0, again.stderr + again.stdout
    assert re.search(r"resumes at step (60|120|180) of 240", again.stdout)
    after = records(killed)
    assert {path: after[path] for path in done} == done
    assert len(after) == 3
    attempts = {path.name.split(".")[-2]: '"attempts": 2' in path.read_text() for path in after}
    assert {key for key, twice in attempts.items() if twice} == {unfinished}
    for store in (whole, killed):
        forget_costs(store)
    for style in ("markdown", "csv", "latex", "json"):
        tables = [zoo_leaderboard.load(store, track).table(style) for store in (whole, killed)]
        assert tables[0] == tables[1]
        assert "steady" in tables[0]


def test_a_folder_is_trained_in_by_one_process_and_free_after_its_death(world):
    settings = {"steps": 240, "batch_size": 16, "delay": 0.004}
    options = {"episodes": 2, "evaluations": 4}
    whole = zoo_leaderboard.train("steady", BANDIT, settings=settings, out="whole", **options)
    command = ["train", "steady", BANDIT, "--out", "run", "--episodes", 2, "--evaluations", 4]
    command += [word for item in settings.items() for word in ("--set", "{}={}".format(*item))]
    first = start(*command, cwd=world)
    waited(lambda: (world / "run" / "unfinished" / "checkpoint.pt").exists())
    second = zoo(*command, cwd=world)
    assert second.returncode == 2
    assert re.fullmatch(r"zoo: another process trains in run; .*--out\n", second.stderr)
    first.send_signal(signal.SIGKILL)
    first.wait()
    third = zoo(*command, cwd=world)
    assert third.returncode == 0, third.stderr
    assert "resuming at step" in third.stdout
    result = Result.model_validate_json((world / "run" / "result.json").read_bytes())
    assert [e.returns for e in result.evaluations] == [e.returns for e in whole.result.evaluations]
    assert result.training == whole.result.training
