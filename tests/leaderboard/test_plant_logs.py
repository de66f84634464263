"""Datasets without an environment: trained, exported, judged by held-out errors, never ranked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from minari_sets import logged, minari_set
from pydantic import ValidationError

import zoo_leaderboard as board
from zoo_core import OfflineData, cli
from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import ActionScaling
from zoo_leaderboard.planning import plan
from zoo_leaderboard.policies import exporting, training
from zoo_leaderboard.result import Result
from zoo_leaderboard.running import execution
from zoo_leaderboard.running.holding_out import policy_error, split
from zoo_leaderboard.track import Track

BOX = spaces.Box(-10, 10, (2,), np.float32)
VALVE = spaces.Box(0.7, 1.1, (1,), np.float64)
"""Bounds of which the nearest float32 is outside."""
QUICK = {"steps": 40, "sampler.hidden": 8}
SET = ["--set", "steps=3", "--set", "sampler.hidden=4"]


@pytest.fixture(autouse=True)
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve episodes of ten steps of a valve that follows the first observation."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("ZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.chdir(tmp_path)
    write("plant/log-v0", 12)
    return tmp_path


def write(id: str, episodes: int) -> None:
    generator = np.random.default_rng(0)
    listed = []
    for _ in range(episodes):
        observations = generator.normal(size=(11, 2)).astype(np.float32)
        actions = 0.9 + 0.2 * np.tanh(observations[:10, :1].astype(np.float64))
        listed.append(logged(observations, np.clip(actions, 0.7, 1.1)))
    minari_set(id, listed, BOX, VALVE)


def zoo(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert zoo(*arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert len(line) <= 200
    return line


def test_training_reports_losses_and_held_out_errors_and_no_score(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo("train", "bc", "plant/log-v0", *SET, "--out", "run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("held-out action error" in line for line in lines)
    assert "no score" in lines[-2]
    assert "held-out episode" in lines[-2]
    assert (plant / "run/agent.pt").is_file()
    record = json.loads((plant / "run/result.json").read_text())
    assert record["score"] is None
    assert record["evaluations"] == []
    assert record["training"][-1]["metrics"]
    steps = [(found["step"], found["act"]) for found in record["held_out"]]
    assert steps == [(0, "mode"), (1, "mode"), (2, "mode"), (3, "mode"), (3, "sample")]
    assert all(h["episodes"] == 1 for h in record["held_out"])
    assert zoo("train", "bc", "plant/log-v0", *SET, "--out", "run") == 0
    assert capsys.readouterr().out.startswith("finished before: ")


def test_the_error_on_held_out_episodes_falls_with_training() -> None:
    settings = {"steps": 200, "sampler.hidden": 32, "lr": 0.01}
    run = board.train("bc", "plant/log-v0", settings=settings, evaluations=2)
    modes = [found for found in run.result.held_out if found.act == "mode"]
    errors = [found.action_error for found in modes]
    assert run.result.score is None
    assert errors[-1] < 0.5 * errors[0]
    held = split(datasets.find("plant/log-v0").data)[1]
    assert held is not None
    again = policy_error(lambda rows: run.agent.act(rows, None, "mode"), held, "mode", 0, "cpu")  # type: ignore[arg-type]
    assert again.action_error == pytest.approx(errors[-1], rel=1e-5)
    assert modes[-1].cloning_error is not None


@pytest.mark.parametrize(
    ("episodes", "held"), [(1, 0), (2, 1), (9, 1), (10, 1), (19, 1), (20, 2), (105, 10)]
)
def test_a_tenth_of_the_episodes_is_held_out(episodes: int, held: int) -> None:
    data = OfflineData.from_episodes(
        {
            "observations": torch.full((2, 1), float(i)),
            "actions": torch.zeros(1, 1),
            "rewards": torch.zeros(1),
            "terminations": torch.zeros(1, dtype=torch.bool),
            "truncations": torch.ones(1, dtype=torch.bool),
        }
        for i in range(episodes)
    )
    rest, out = split(data)
    assert (0 if out is None else len(out.lengths)) == held
    kept = [rest, out] if out is not None else [rest]
    numbers = [int(n) for part in kept for n in part.observations[part.rows][:, 0]]
    assert sorted(numbers) == list(range(episodes)), "each episode is in one part"


def test_an_episode_that_was_cut_off_is_not_held_out() -> None:
    lengths = [5, 5, 5, 2]
    data = OfflineData.from_episodes(
        {
            "observations": torch.zeros(n + 1, 1),
            "actions": torch.zeros(n, 1),
            "rewards": torch.zeros(n),
            "terminations": torch.zeros(n, dtype=torch.bool),
            "truncations": torch.arange(n) == n - 1,
        }
        for n in lengths
    )
    rest, held = split(data)
    assert held is not None
    assert held.lengths.tolist() == [5]
    assert rest.lengths.tolist() == [5, 5, 2]


def test_a_single_episode_is_trained_on_whole(capsys: pytest.CaptureFixture[str]) -> None:
    write("plant/single-v0", 1)
    assert zoo("train", "bc", "plant/single-v0", *SET) == 0
    assert "single episode" in capsys.readouterr().out


def test_a_dataset_with_an_environment_holds_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    usual = execution.Trainer

    def spied(recipe: object, data: OfflineData, *rest: object, **options: object) -> object:
        seen.append(len(data))
        return usual(recipe, data, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(execution, "Trainer", spied)
    with_environment("plant/known-v0")
    run = board.train("bc", "plant/known-v0", settings={"steps": 1}, episodes=1, evaluations=1)
    assert seen == [len(datasets.find("plant/known-v0").data)]
    assert run.result.held_out == ()
    assert run.result.score is not None


def with_environment(id: str) -> None:
    generator = np.random.default_rng(0)
    box = spaces.Box(-np.array([1, 1, 8]), np.array([1, 1, 8]), dtype=np.float32)
    episodes = [
        logged(
            generator.uniform(-1, 1, (6, 3)).astype(np.float32),
            generator.uniform(-2, 2, (5, 1)).astype(np.float32),
        )
        for _ in range(12)
    ]
    minari_set(id, episodes, box, spaces.Box(-2, 2, (1,), np.float32), env="Pendulum-v1")


def test_an_interrupted_run_equals_an_uninterrupted_one(
    plant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = board.train("bc", "plant/log-v0", settings=QUICK, evaluations=4, out=plant / "whole")
    usual = execution.agent_error

    def broken(*arguments: object) -> object:
        if arguments[4] == 30:
            raise KeyboardInterrupt
        return usual(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(execution, "agent_error", broken)
    with pytest.raises(KeyboardInterrupt):
        board.train("bc", "plant/log-v0", settings=QUICK, evaluations=4, out=plant / "cut")
    monkeypatch.setattr(execution, "agent_error", usual)
    cut = board.train("bc", "plant/log-v0", settings=QUICK, evaluations=4, out=plant / "cut")
    assert cut.result.times.attempts == 2
    assert cut.result.held_out == whole.result.held_out
    assert cut.result.training == whole.result.training
    for name, tensor in whole.agent.state_dict().items():
        assert torch.equal(cut.agent.state_dict()[name], tensor)


@pytest.mark.parametrize("format", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_its_policy_is_exported_within_the_bounds(plant: Path, format: exporting.Format) -> None:
    if format == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    run = board.train("bc", "plant/log-v0", settings=QUICK, evaluations=1)
    board.export(run.folder, plant / "policy", format)
    load = exporting.load_onnx if format == "onnx" else exporting.load_torchscript
    observations = 1e4 * torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    actions = load(plant / "policy")({"observations": observations}).numpy()
    assert actions.dtype == np.float32
    assert all(VALVE.contains(action.astype(np.float64)) for action in actions)
    nearest = min(np.abs(actions - VALVE.low).min(), np.abs(actions - VALVE.high).min())
    assert nearest < 1e-7, "some are saturated"


@pytest.mark.parametrize(
    ("low", "high"), [(0.7, 1.1), (-0.3, 0.3), (1e3, 1e3 + 10.0), (-1e-30, 1e-30), (0.0, 1e19)]
)
def test_bounds_in_float32_are_within_the_bounds(low: float, high: float) -> None:
    scaling = ActionScaling(np.array([low]), np.array([high]))
    small, large = exporting.float32_bounds(scaling)
    assert low <= float(small[0]) <= float(large[0]) <= high
    assert small[0] == pytest.approx(low, rel=1e-6)
    assert large[0] == pytest.approx(high, rel=1e-6)


def test_bounds_closer_than_float32_resolves_cannot_be_exported() -> None:
    scaling = ActionScaling(np.array([0.0, 1e6]), np.array([1.0, 1e6 + 1e-3]))
    with pytest.raises(ZooError, match=r"action 1 between 1000000 and 1000000\.001"):
        exporting.float32_bounds(scaling)


@pytest.mark.parametrize("algorithm", ["td3_bc", "diffusion_bc"])
def test_other_algorithms_train_on_it(algorithm: str) -> None:
    run = board.train(algorithm, "plant/log-v0", settings={"steps": 2}, evaluations=1)
    assert run.result.score is None
    assert {found.act for found in run.result.held_out} == {a.name for a in run.agent.recipe.acts}


def test_what_needs_an_environment_is_refused_in_a_line(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo("train", "bc", "plant/log-v0", *SET, "--out", "run") == 0
    assert "environment" in refusal(capsys, "evaluate", "run")
    ranked = ("leaderboard", "run", "--algorithm", "bc", "--dataset", "plant/log-v0")
    line = refusal(capsys, *ranked, "--store", "store")
    assert "'plant/log-v0'" in line
    assert "zoo train" in line
    assert not (plant / "store").exists()


def test_watching_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("imageio_ffmpeg")
    assert zoo("train", "bc", "plant/log-v0", *SET, "--out", "run") == 0
    assert "environment" in refusal(capsys, "watch", "run", "--out", "video.mp4")


def test_a_track_leaves_it_out_with_a_line() -> None:
    with_environment("plant/known-v0")
    told: list[str] = []
    track = Track(name="mine", summary="", datasets=("plant/log-v0", "plant/known-v0"))
    jobs = plan(track, algorithms=["bc"], seeds=[0], tell=told.append)
    assert {job.cell.dataset for job in jobs} == {"plant/known-v0"}
    assert any("'plant/log-v0'" in line and "environment" in line for line in told)
    alone = Track(name="mine", summary="", datasets=("plant/log-v0",))
    with pytest.raises(ZooError, match="environment"):
        plan(alone, algorithms=["bc"], seeds=[0])


def test_the_listing_says_that_there_is_no_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("datasets") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "plant/log-v0" in line)
    assert "without a score" in line


def test_a_record_without_a_score_is_a_single_runs_alone() -> None:
    result = board.train("bc", "plant/log-v0", settings=QUICK, evaluations=1).result
    fields = result.model_dump()
    assert Result.model_validate(fields) == result
    with pytest.raises(ValidationError, match="without a score"):
        Result.model_validate({**fields, "track": "demo"})
    other = {**fields["ingredients"], "environment": "Hopper-v5"}
    with pytest.raises(ValidationError, match="without a score"):
        Result.model_validate({**fields, "ingredients": other})


def test_finished_by_another_call_of_the_same_run(plant: Path) -> None:
    first = board.train("bc", "plant/log-v0", settings=QUICK, evaluations=1)
    assert board.train("bc", "plant/log-v0", settings=QUICK, evaluations=1).already
    assert training.read(first.folder / "result.json") == first.result
