"""Files that were logged in no environment become datasets without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo_core import cli
from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets.importing import ActionBounds, import_file

ID = "mine/plant-v0"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three episodes of five rows: valves in [0.2, 0.8] and [-3, 3]."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("ZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "log.npz")


def write(path: Path, **changes: Any) -> Path:
    generator = np.random.default_rng(0)
    arrays = {
        "observations": generator.normal(size=(15, 4)),
        "actions": np.linspace([0.2, -3.0], [0.8, 3.0], 15),
        "rewards": generator.normal(size=15),
        "terminations": np.arange(15) % 5 == 4,
        "truncations": np.zeros(15, bool),
        "next_observations": generator.normal(size=(15, 4)),
    }
    arrays["next_observations"][:-1] = arrays["observations"][1:]
    np.savez(path, **{**arrays, **changes})
    return path


def zoo(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(map(str, arguments)))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_bounds_are_those_of_the_file_and_said(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo("datasets", "import", file, "--id", ID) == 0
    shown = capsys.readouterr().out
    assert "0.2 to 0.8" in shown
    assert "-3 to 3" in shown
    assert "--action-low" in shown
    found = datasets.find(ID)
    assert found.environment is None
    np.testing.assert_array_equal(found.scaling.low, [0.2, -3.0])
    np.testing.assert_array_equal(found.scaling.high, [0.8, 3.0])
    expected = np.linspace(-1, 1, 15)
    np.testing.assert_allclose(found.data.actions[:, 0], expected, atol=1e-6)
    assert found.data.lengths.tolist() == [5, 5, 5]
    assert found.data.space == (4, 2)


def test_what_float32_loses_is_said_at_once(file: Path) -> None:
    clock = 1.7e9 + np.arange(15.0)[:, None]
    write(file, observations=clock, next_observations=clock + 1.0)
    log = import_file(file, ID).log
    assert sum("float32" in line and "observation 0" in line for line in log.lines()) == 1


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_what_the_environments_dtype_merges_is_said_too(file: Path, dtype: Any) -> None:
    """Pendulum's observations are float32; nanoseconds since 1970 are too long for float64."""
    clock = 1_700_000_000_000_000_000 + np.arange(15, dtype=np.int64)
    observations = np.stack([clock // 10**9 + np.arange(15), *np.eye(2, 15)], 1).astype(dtype)
    write(file, observations=observations, next_observations=observations, actions=np.zeros(15))
    log = import_file(file, ID, "Pendulum-v1").log
    assert sum("float32" in line and "observation 0" in line for line in log.lines()) == 1
    write(file, observations=clock, next_observations=clock + 1)
    log = import_file(file, ID, replace=True).log
    assert sum("float32" in line and "observation 0" in line for line in log.lines()) == 1


def test_given_bounds_are_kept(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bounds = ("--action-low", "0,-4", "--action-high", "1,4")
    assert zoo("datasets", "import", file, "--id", ID, *bounds) == 0
    assert "--action-low" not in capsys.readouterr().out
    scaling = datasets.find(ID).scaling
    assert scaling.low.tolist() == [0, -4]
    assert scaling.high.tolist() == [1, 4]
    done = import_file(file, ID, bounds=ActionBounds(-5.0), replace=True)
    assert datasets.find(ID).scaling.low.tolist() == [-5, -5]
    assert datasets.find(ID).scaling.high.tolist() == [0.8, 3.0]
    assert any("from the file" in line for line in done.log.lines())


def test_it_trains(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("datasets", "import", file, "--id", ID) == 0
    settings = ("--set", "steps=2", "--set", "sampler.hidden=4")
    assert zoo("train", "bc", ID, *settings) == 0
    assert "no score" in capsys.readouterr().out


def test_float32_and_whole_numbers_keep_their_bounds(file: Path) -> None:
    single = np.linspace([0.1], [0.7], 15).astype(np.float32)
    import_file(write(file, actions=single), ID)
    assert datasets.find(ID).action_space.dtype == np.float32
    assert float(datasets.find(ID).data.actions.max()) == 1.0
    import_file(write(file, actions=np.arange(15)[:, None] % 5), ID, replace=True)
    assert datasets.find(ID).scaling.high.tolist() == [4]


@pytest.mark.parametrize(
    ("changes", "bounds", "words"),
    [
        ({"actions": np.full((15, 1), 0.5)}, ActionBounds(), "action 0"),
        ({}, ActionBounds(0.0, 0.0), "action 0"),
        ({}, ActionBounds(float("nan"), 1.0), "action 0"),
        ({}, ActionBounds([-5.0, -5.0, -5.0]), "3 numbers"),
        ({}, ActionBounds(-5.0, [0.5, 5.0]), "leave the bounds"),
        ({}, ActionBounds(-5.0, float("inf")), "without finite bounds"),
        ({"actions": np.full((15, 2), np.nan)}, ActionBounds(), "NaN"),
        ({"actions": np.where(np.arange(30).reshape(15, 2) == 12, np.nan, 0.1)}, None, "NaN"),
    ],
)
def test_bounds_that_cannot_be(
    file: Path, changes: dict[str, Any], bounds: ActionBounds | None, words: str
) -> None:
    write(file, **changes)
    with pytest.raises(ZooError, match=words) as caught:
        import_file(file, ID, bounds=bounds or ActionBounds(-1.0, 1.0))
    assert "\n" not in str(caught.value)
    assert not (datasets.zoo_home() / "datasets" / ID).exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--argument", "a=1"),
        ("--environment", "Pendulum-v1", "--action-low", "0"),
        ("--action-low", "zero"),
    ],
)
def test_options_that_contradict_are_refused(
    file: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo("datasets", "import", file, "--id", ID, *options) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert len(line) <= 200
