"""One dataset with bad metadata or files is listed with its problem, and affects no other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minari_sets import logged, minari_set

from zoo_core import cli
from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import DatasetInfo, catalogue
from zoo_leaderboard.datasets.metadata import checked
from zoo_leaderboard.planning import Planner, single, why_stale
from zoo_leaderboard.track import Track

UNIT = spaces.Box(-1, 1, (1,), np.float32)


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `data` folder of toy/odd-v0, which is as good as its neighbour toy/good-v0."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    episode = logged(np.zeros((6, 1), np.float32), np.zeros((5, 1), np.float32))
    minari_set("toy/good-v0", [episode], UNIT, UNIT)
    return minari_set("toy/odd-v0", [episode], UNIT, UNIT)


def change(folder: Path, **fields: Any) -> None:
    path = folder / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def row(id: str = "toy/odd-v0") -> DatasetInfo:
    """The listed line of a dataset, after a check of its neighbour's."""
    rows = {info.id: info for info in datasets.listing()}
    assert rows["toy/good-v0"].problem is None
    assert rows["toy/good-v0"].episodes == 1
    return rows[id]


def refused(id: str = "toy/odd-v0") -> str:
    """The one-line error message for a dataset."""
    with pytest.raises(ZooError) as caught:
        _ = datasets.find(id).data
    assert "\n" not in str(caught.value)
    return str(caught.value)


BAD = {
    "total_episodes": [None, "many", -1, 1.5, [], {}, True, float("nan"), 10**30, ""],
    "total_steps": ["many", -1, [3], False, 10**400],
    "observation_space": [
        3,
        [],
        {"type": "Box"},
        "{broken",
        "[]",
        '{"type": "Nothing"}',
        "[" * 999,
    ],
    "action_space": [None, 0, "", "null", '{"type": "Box"}'],
    "env_spec": [3, "{broken", "[1]", "null", '{"kwargs": {}}', '{"id": ""}', '{"id": 3}'],
    "eval_env_spec": ['{"id": "A-v0", "kwargs": [1]}', '{"id": "A-v0", "max_episode_steps": "x"}'],
    "requirements": [3, "mujoco", [1], {"a": 1}],
    "ref_min_score": ["0", [0, 1], True, float("nan"), float("inf"), 10**400, {}],
    "ref_max_score": ["100", -5.0],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in BAD.items() for value in values],
    ids=lambda each: str(each)[:30],
)
def test_a_bad_value_is_the_problem_of_its_dataset(odd: Path, field: str, value: Any) -> None:
    change(odd, **{"ref_min_score": 0.0, "env_spec": None, field: value})
    problem = row().problem
    assert problem
    assert "\n" not in problem
    assert refused() == problem
    text = checkable(field, value)
    assert text in problem


def checkable(field: str, value: Any) -> str:
    """The word that a message must contain: the field, or the space that Minari cannot read."""
    spaces_as_text = field.endswith("_space") and (value is None or isinstance(value, str))
    return "space" if spaces_as_text else field


@pytest.mark.parametrize(
    "field", ["author", "author_email", "description", "license", "code_permalink", "ref_source",
              "dataset_size", "algorithm_name", "dataset_id"],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, 3, -1.5, "", [], [1, "a"], {"a": [1]}, float("nan")])
def test_a_descriptive_value_of_any_kind_costs_nothing(odd: Path, field: str, value: Any) -> None:
    change(odd, **{field: value})
    assert row().problem is None
    assert len(datasets.find("toy/odd-v0").data) == 5


TEXT = st.text('ab0 \x1b\u202e"{[', max_size=5)


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """The error message of a call, empty if it succeeds, and its result."""
    try:
        return "", call()
    except ZooError as error:
        return str(error), None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
GOOD = {"total_episodes": 1, "observation_space": "x", "action_space": "x"}
FIELDS = st.sampled_from(["dataset_id", "author", "dataset_size", *BAD])


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_metadata_of_any_json_are_taken_or_refused_in_a_line(fields: dict[str, Any]) -> None:
    problem, found = outcome(lambda: checked({**GOOD, **fields}, "dataset 'x'"))
    assert problem or isinstance(found["total_episodes"], int)
    assert not problem or "dataset 'x'" in problem
    assert problem.isprintable()
    assert len(problem) <= 200


@settings(max_examples=30)
@given(JSON)
def test_metadata_that_are_no_object_are_refused_in_a_line(value: Any) -> None:
    with pytest.raises(ZooError):
        checked(value, "dataset 'x'")


def gone(folder: Path) -> None:
    (folder / "metadata.json").unlink()


def empty(folder: Path) -> None:
    (folder / "metadata.json").write_text("")


def a_list(folder: Path) -> None:
    (folder / "metadata.json").write_text("[]")


def not_utf8(folder: Path) -> None:
    (folder / "metadata.json").write_bytes(b'{"a": "\xff"}')


def deep(folder: Path) -> None:
    (folder / "metadata.json").write_text("[" * 100_000)


def a_folder(folder: Path) -> None:
    gone(folder)
    (folder / "metadata.json").mkdir()


def dangling(folder: Path) -> None:
    gone(folder)
    (folder / "metadata.json").symlink_to("nowhere.json")


def linked_to_itself(folder: Path) -> None:
    gone(folder)
    (folder / "metadata.json").symlink_to("metadata.json")


def without_data(folder: Path) -> None:
    (folder / "main_data.hdf5").unlink()


def dangling_data(folder: Path) -> None:
    without_data(folder)
    (folder / "main_data.hdf5").symlink_to("nowhere.hdf5")


@pytest.mark.parametrize(
    "damage",
    [gone, empty, a_list, not_utf8, deep, a_folder, dangling, linked_to_itself, without_data,
     dangling_data],
)  # fmt: skip
def test_a_damaged_file_is_the_problem_of_its_dataset(
    odd: Path, damage: Callable[[Path], None]
) -> None:
    damage(odd)
    problem = row().problem
    assert problem
    assert str(odd) in problem
    assert refused() == problem


def test_unreadable_metadata(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        if path == odd / "metadata.json":
            raise PermissionError(13, "Permission denied")
        return usual(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "Permission denied" in str(row().problem)


def test_metadata_may_begin_with_a_byte_order_mark_and_have_windows_line_ends(odd: Path) -> None:
    path = odd / "metadata.json"
    text = json.dumps({**json.loads(path.read_text()), "author": "José"}, indent=1)
    path.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert row().problem is None
    assert datasets.find("toy/odd-v0").data.lengths.tolist() == [5]


def test_a_missing_value_is_called_missing(odd: Path) -> None:
    (odd / "metadata.json").write_text(json.dumps({"observation_space": "x" * 300}))
    assert "total_episodes is missing" in refused()


def test_data_that_are_no_hdf5_are_a_line(odd: Path) -> None:
    (odd / "main_data.hdf5").write_bytes(b"junk")
    text = refused()
    assert len(text) <= 170 + len(str(odd)) and str(odd) in text and "damaged" in text


def test_a_namespaces_metadata_are_not_read(odd: Path) -> None:
    for text in ("", "[]", "{broken"):
        (odd.parent.parent / "namespace_metadata.json").write_text(text)
        assert row().problem is None


def test_a_loop_of_links_ends(odd: Path) -> None:
    (odd.parent.parent / "round").symlink_to(odd.parent.parent.parent)
    (odd.parent.parent / "again").symlink_to(odd.parent.parent)
    assert row().problem is None


def test_a_damaged_embedded_dataset_is_listed_with_its_problem(odd: Path) -> None:
    folder = datasets.zoo_home() / "datasets/zoo/bandit/modes-v0"
    shutil.copytree(odd.parent, folder)
    a_list(folder / "data")
    assert row("zoo/bandit/modes-v0").problem


def test_remote_metadata_of_any_kind_are_listed(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = json.loads((odd / "metadata.json").read_text())
    answer = {
        "far/good-v0": good,
        "far/list-v0": [],
        "far/none-v0": None,
        "far/odd-v0": {**good, "total_steps": "many"},
    }
    monkeypatch.setattr(catalogue, "require_network", lambda: None)
    monkeypatch.setattr(minari, "list_remote_datasets", lambda: answer)
    rows = {info.id: info for info in datasets.listing(remote=True)}
    assert rows["far/good-v0"].problem is None
    assert all(rows[f"far/{name}-v0"].problem for name in ("list", "none", "odd"))


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_commands_with_a_damaged_neighbour(
    odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(odd, total_steps="\x1b[31mmany", env_spec="{broken")
    weird = odd.parent.parent / "\x1b[2Jname-v0"
    os.rename(odd.parent, weird)
    assert run("datasets") == 0
    shown = capsys.readouterr().out
    assert "toy/good-v0" in shown
    assert "total_steps" in shown
    assert "\x1b" not in shown
    for command in ("train bc", "leaderboard run --algorithm bc --dataset"):
        assert run(*command.split(), "toy/odd-v0") == 2
        assert "Traceback" not in capsys.readouterr().err
    store = ["--store", str(tmp_path / "store")]
    assert run("leaderboard", "table", *store) in {0, 2}
    assert "Traceback" not in capsys.readouterr().err


def test_a_damaged_dataset_says_nothing_of_results_on_it(odd: Path) -> None:
    job = single("bc", "toy/odd-v0", settings={"steps": 1})
    track = Track(name="train", summary="", datasets=())
    assert why_stale(job.ingredients, job.cell, Planner(track)) == ""
    change(odd, total_steps="many")
    assert why_stale(job.ingredients, job.cell, Planner(track)) == ""
    change(odd, total_steps=5)
    without_data(odd)
    assert why_stale(job.ingredients, job.cell, Planner(track)) == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(field=st.sampled_from(["minari_version", "data_format", "combined_datasets"]), value=JSON)
def test_other_values_that_minari_reads_are_taken_or_refused(
    odd: Path, field: str, value: Any
) -> None:
    change(odd, **{field: value})
    assert row() is not None
    problem, data = outcome(lambda: datasets.find("toy/odd-v0").data)
    assert "\n" not in problem
    assert problem or len(data) == 5
