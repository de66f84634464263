"""The user is warned about precision that a dataset loses in float32."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from minari_sets import logged, minari_set

from zoo_core import OfflineData, cli
from zoo_core.errors import ZooError, ZooWarning
from zoo_core.precision import Changes
from zoo_leaderboard import datasets

UNIT = spaces.Box(-1, 1, (1,), np.float32)
T = 400
STEPS = np.arange(T + 1)
NOISE = np.random.default_rng(0).normal(size=T + 1)


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path


def write(column: np.ndarray, rewards: np.ndarray | None = None) -> None:
    """A dataset whose second observation is the column."""
    rows = np.stack([NOISE.astype(column.dtype), column], axis=1)
    space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    if column.dtype == np.int64:
        space = spaces.Box(-(2**62), 2**62, (2,), np.int64)
    actions = np.tanh(NOISE[:T, None]).astype(np.float32)
    minari_set("plant/log-v0", [logged(rows, actions, rewards)], space, UNIT)


def lines(id: str = "plant/log-v0") -> list[str]:
    """The warnings of reading a dataset."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _ = datasets.find(id).data
    return [str(each.message) for each in caught if each.category is ZooWarning]


MERGED = {
    "time in seconds since 1970": 1.7e9 + 0.05 * STEPS,
    "a few of them": 1.7e9 + 100.0 * STEPS,
    "position far from the origin": 1e6 + 1e-3 * NOISE,
    "after a row of zeros": np.where(STEPS == 0, 0.0, 1.7e9 + STEPS),
    "below float32's smallest number": 1e-50 * NOISE,
    "negative": -5e8 + NOISE,
    "counter beyond 2^24": (1 << 40) + STEPS,
    "nanoseconds": 1_700_000_000_000_000_000 + 1_000_000 * STEPS,
}
KEPT = {
    "ordinary": NOISE,
    "constant": np.full(T + 1, 1.7e9),
    "constant but for rounding": 9.81 * (1.0 + 1e-15 * NOISE),
    "coming to rest": 0.5 + np.exp(-0.1 * STEPS),
    "wide range": 1e30 * NOISE,
    "tiny": 1e-30 * NOISE,
    "whole numbers that float32 holds": STEPS.astype(np.float64),
    "small counter": STEPS,
}


@pytest.mark.parametrize("name", MERGED)
def test_observations_that_float32_merges_are_named(name: str) -> None:
    write(MERGED[name])
    (line,) = lines()
    assert "'plant/log-v0'" in line
    assert "float32" in line
    assert "observation 1" in line
    assert "\n" not in line
    assert len(line) <= 200
    assert lines() == [line], "said again when the flat copy is read"


@pytest.mark.parametrize("name", KEPT)
def test_observations_that_float32_keeps_are_not(name: str) -> None:
    write(KEPT[name])
    assert lines() == []


def test_rewards_that_float32_merges_are_named() -> None:
    write(NOISE, rewards=1e9 + NOISE[:T])
    (line,) = lines()
    assert "reward 0" in line


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    column = np.concatenate([NOISE, 1e9 + NOISE, 1e9 + NOISE])[:, None]
    whole = Changes("observation")
    whole.add(column)
    (line,) = whole.notes("x")
    assert f"{2 * T / (3 * T + 2):.0%}" in line
    monkeypatch.setattr("zoo_core.precision.CHUNK", 100)
    parts = Changes("observation")
    for rows in np.array_split(column, 50):
        parts.add(rows)
    assert parts.notes("x") == [line]


def test_numbers_beyond_float32_are_not_called_infinite() -> None:
    write(np.where(STEPS == 3, 1e39, 0.0))
    with pytest.raises(ZooError, match=r"episode 0: observations has numbers beyond float32"):
        _ = datasets.find("plant/log-v0").data


def write_actions(actions: np.ndarray, low: list[float], high: list[float]) -> None:
    box = spaces.Box(np.array(low), np.array(high), dtype=np.float64)
    minari_set(
        "plant/wide-v0",
        [logged(np.zeros((len(actions) + 1, 1)), actions)],
        spaces.Box(-1, 1, (1,), np.float64),
        box,
    )


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (-1e12, 1e12, 1.0),
        (-1e19, 1e19, 1.0),
        (0.0, 1e12, 1.0),
        (0.0, 1e15, 1.0),
        (-(2.0**31), 2.0**31, 1.0),
        (-1.0, 1.0, 1e-9),
    ],
)
def test_actions_that_are_constant_within_their_bounds_are_refused(
    low: float, high: float, scale: float
) -> None:
    write_actions(scale * np.abs(NOISE[:T, None]), [low], [high])
    with pytest.raises(ZooError, match="bounds") as caught:
        _ = datasets.find("plant/wide-v0").data
    message = str(caught.value)
    assert "'plant/wide-v0': action 0" in message
    assert f"{low:g} to {high:g}" in message
    assert len(message) <= 200


def test_one_narrow_action_among_others_is_named() -> None:
    actions = np.stack([np.tanh(NOISE[:T]), NOISE[:T], np.full(T, 3.0)], axis=1)
    write_actions(actions, [-1, -1e12, 0], [1, 1e12, 1e15])
    (line,) = lines("plant/wide-v0")
    assert "action 1 varies" in line


def test_narrow_and_constant_actions_of_ordinary_bounds_are_read() -> None:
    actions = np.stack([0.01 * np.tanh(NOISE[:T]), np.full(T, 1.0)], axis=1)
    write_actions(actions, [-1, -1], [1, 1])
    assert lines("plant/wide-v0") == []


def test_tensors_given_to_the_core_directly_are_looked_at_too() -> None:
    clock = 1.7e9 + torch.arange(6, dtype=torch.float64)[:, None]
    episode = {
        "observations": clock,
        "actions": torch.zeros(5, 1),
        "rewards": 1e9 + torch.rand(5, dtype=torch.float64),
        "terminations": torch.zeros(5, dtype=torch.bool),
        "truncations": torch.arange(5) == 4,
    }
    with pytest.warns(ZooWarning) as caught:
        OfflineData.from_episodes([episode, episode], name="mine")
    lines = [str(each.message) for each in caught]
    assert any("'mine'" in line and "observation 0" in line for line in lines)
    assert any("reward 0" in line for line in lines)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = {**episode, "observations": clock.sin(), "rewards": torch.rand(5)}
        OfflineData.from_episodes([plain])


def test_the_command_line_prints_a_warning_as_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(MERGED["negative"])
    command = "train bc plant/log-v0 --set steps=1 --set sampler.hidden=4"
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command.split(), "--tracker", "none", "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 0
    assert sum("zoo: warning: dataset 'plant/log-v0': float32" in line for line in error) == 1
    with pytest.raises(SystemExit):
        cli.main(["datasets"])
    assert "float32 merges" in " ".join(capsys.readouterr().out.split()), "said in the listing too"
