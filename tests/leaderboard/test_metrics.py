"""What a record tells beside the score: diagnostics, costs, and what tuning spent."""

import itertools
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from worlds import BANDIT

import zoo_leaderboard
from zoo_core import Agent
from zoo_core.diagnostics import action_distance, probe
from zoo_leaderboard.datasets import find
from zoo_leaderboard.planning import plan, single
from zoo_leaderboard.result import Diagnosed, Failure, Result
from zoo_leaderboard.running import costs, diagnosing, execution, outcome, stretches
from zoo_leaderboard.running.costs import Costs
from zoo_leaderboard.running.run import Place
from zoo_leaderboard.track import load_track

OPTIONS = {"episodes": 2, "evaluations": 2}


def without_times(result):
    return result.model_dump(exclude={"times", "peak_memory"})


def train(out="run", algorithm="steady", **options):
    return zoo_leaderboard.train(
        algorithm, BANDIT, out=out, settings={"steps": 60}, **{**OPTIONS, **options}
    ).result


def test_every_evaluation_of_the_headline_is_diagnosed(world):
    result = train()
    assert [d.step for d in result.diagnostics] == [0, 30, 60]
    agent = Agent.load("run/agent.pt")
    data = find(BANDIT).data
    index = probe(data)
    chosen = agent.act(data.observations[data.rows[index]], noise=None)
    last = result.diagnostics[-1]
    assert last.action_distance == pytest.approx(action_distance(chosen, data.actions[index]))
    assert last.act == result.act
    assert last.values == {"action_distance": last.action_distance}
    assert last.alarm == result.alarm == ""
    assert Result.model_validate_json((world / "run" / "result.json").read_bytes()) == result


def test_looking_changes_no_score(world, monkeypatch):
    looked = train("looked")
    monkeypatch.setattr(execution, "of_agent", lambda *arguments: Diagnosed(step=0, act="act"))
    blind = train("blind")
    for field in ("key", "score", "training"):
        assert getattr(looked, field) == getattr(blind, field)
    returns = [[e.returns for e in result.evaluations] for result in (looked, blind)]
    assert returns[0] == returns[1]


def test_a_diagnosis_that_fails_is_an_alarm_and_ends_no_run(world, monkeypatch, capfd):
    def broken(agent, data, noise, act):
        raise ValueError("a critic of\nanother shape")

    monkeypatch.setattr(diagnosing, "diagnose", broken)
    result = train()
    assert result.status == "finished"
    assert [d.alarm for d in result.diagnostics] == [
        "the diagnosis failed: ValueError: a critic of"
    ] * 3
    assert "another shape" in capfd.readouterr().err


@pytest.mark.parametrize("stop", [20, 45])
def test_an_interrupted_run_is_diagnosed_as_an_uninterrupted_one(world, monkeypatch, stop):
    class Stop(Exception):
        pass

    def interrupt(progress):
        if progress.step >= stop:
            raise Stop

    monkeypatch.setattr(stretches, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(stretches, "MEASURED_STEPS", 5)
    whole = train("whole")
    with pytest.raises(Stop):
        train("part", report=interrupt)
    saved = json.loads((world / "part" / "unfinished" / "evaluations.json").read_text())
    assert saved["costs"]["parameters"] == whole.parameters
    part = train("part")
    assert part.times.attempts == 2
    assert without_times(part) | {"evaluations": ()} == without_times(whole) | {"evaluations": ()}


def test_an_external_learner_has_a_distance_and_no_parameters(world):
    result = train(algorithm="outsider")
    (found,) = result.diagnostics
    data = find(BANDIT).data
    stored = data.actions[probe(data)]
    assert found.action_distance == pytest.approx(action_distance(0.0 * stored, stored))
    assert (found.q_data, found.act) == (None, "policy")
    assert result.parameters is None and result.updates_per_second is None
    assert result.peak_memory > 0


def test_costs_are_in_the_record(world):
    result = train()
    space = find(BANDIT).space
    hidden = 8
    widths = [space.observation_dim, hidden, hidden, space.action_dim]
    layers = itertools.pairwise(widths)
    assert result.parameters == sum((before + 1) * after for before, after in layers)
    assert 50e6 < result.peak_memory < 1e12
    assert result.peak_device_memory is None
    assert result.updates_per_second == pytest.approx(60 / result.times.training)


def test_averages_are_no_further_parameters():
    live = torch.nn.ModuleDict({"critic": torch.nn.Linear(3, 2)})
    live["critic"].requires_grad_(False)  # as the engine leaves what does not train
    agent = SimpleNamespace(live=live, target=torch.nn.ModuleDict({"critic": live["critic"]}))
    assert costs.parameters_of(agent) == 8


def test_peaks_are_those_of_all_attempts(monkeypatch):
    monkeypatch.setattr(costs, "peak_memory", lambda: 5)
    before = Costs(parameters=7, peak_memory=9)
    assert before.with_peaks("cpu") == before
    assert Costs(parameters=7, peak_memory=3).with_peaks("cpu").peak_memory == 5
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 11)
    assert Costs(peak_device_memory=10).with_peaks("cuda:0").peak_device_memory == 11


def test_memory_is_in_bytes():
    before = costs.peak_memory()
    block = torch.ones(2 * before // 4)
    assert costs.peak_memory() >= before + block.numel() * 4 // 2
    assert sys.platform != "linux" or costs.peak_memory() < 1e12


def test_a_failed_run_keeps_what_it_had(world):
    with pytest.raises(ValueError, match="own mistake"):
        train(algorithm="raises")
    job = single("raises", BANDIT, settings={"steps": 60})
    failure = Failure(kind="error", reason="made up")
    failed = outcome.failed(job, failure, world / "run" / "unfinished")
    assert [d.step for d in failed.diagnostics] == [0]
    assert failed.parameters > 0 and failed.peak_memory > 0
    assert failed.updates_per_second is None


def planned(track, **options):
    jobs = plan(track, algorithms=["steady"], datasets=[BANDIT], seeds=[0], **options)
    return [job.tuning_evaluations for job in jobs]


def test_the_plan_adds_the_papers_search_to_the_tracks(world):
    plain = load_track("d4rl")
    assert planned(plain) == [0, 12]
    assert planned(plain.model_copy(update={"tuning_evaluations": {"steady": 5}})) == [5, 17]
    assert planned(plain.model_copy(update={"defaults": {"steps": 60}})) == [None, None]
    assert planned(plain, settings={"steps": 60}) == [None, None]


def test_a_papers_search_that_is_not_told_is_not_known(world):
    from zoo_core import registry

    steady = registry.installed().algorithms["steady"]
    silent = replace(steady, spec=replace(steady.spec, tuning_evaluations={}))
    registry.installed().algorithms["steady"] = silent
    assert planned(load_track("d4rl")) == [0, None]


def test_the_record_has_what_tuning_spent(world):
    assert train().tuning_evaluations is None  # by hand
    changes = {"defaults": {"steps": 60}, "tuning_evaluations": {"steady": 5}}
    track = load_track("demo").model_copy(update=changes)
    (job,) = plan(track, algorithms=["steady"], datasets=[BANDIT], seeds=[0], variants=["tuned"])
    result = execution.execute(job, Place(world / "agent.pt", world / "work"))
    assert result.tuning_evaluations == 17
    assert "tuning" not in json.dumps(result.ingredients.model_dump())


def test_records_of_older_versions_are_read(world):
    result = train()
    content = result.model_dump(mode="json")
    new = ("diagnostics", "parameters", "peak_memory", "peak_device_memory", "tuning_evaluations")
    for field in new:
        del content[field]
    old = Result.model_validate_json(json.dumps(content))
    assert (old.diagnostics, old.peak_memory, old.tuning_evaluations) == ((), None, None)
    assert old.alarm == ""
    assert old.score == result.score
