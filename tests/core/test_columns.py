"""Prepared columns: written once by rename, read as they were, refused where damaged."""

import pytest
import torch

from zoo_core import BadCheckpoint, ZooError
from zoo_core import columns as files

COLUMNS = {
    "support": torch.randn(7, 4, 2, generator=torch.Generator().manual_seed(0)).half(),
    "value": torch.arange(7.0, dtype=torch.float64),
    "count": torch.arange(7),
}


def test_what_was_written_is_read(tmp_path):
    files.write(tmp_path / "columns", "key", COLUMNS)
    found = files.read(tmp_path / "columns", "key")
    assert sorted(found) == sorted(COLUMNS)
    for name, column in COLUMNS.items():
        assert found[name].dtype == column.dtype
        assert torch.equal(found[name], column)
    assert [path.name for path in (tmp_path / "columns").iterdir()] == ["key"]


def test_what_is_there_is_kept(tmp_path):
    files.write(tmp_path, "key", {"value": torch.zeros(2)})
    files.write(tmp_path, "key", {"value": torch.ones(2)})
    assert torch.equal(files.read(tmp_path, "key")["value"], torch.zeros(2))


def test_changing_what_was_read_changes_no_file(tmp_path):
    files.write(tmp_path, "key", {"value": torch.zeros(2)})
    files.read(tmp_path, "key")["value"].fill_(1.0)
    assert torch.equal(files.read(tmp_path, "key")["value"], torch.zeros(2))


def test_missing_columns_are_refused(tmp_path):
    with pytest.raises(BadCheckpoint, match="missing"):
        files.read(tmp_path, "key")


@pytest.mark.parametrize("content", [b"", b"rubbish", b"half"])
def test_damaged_columns_are_refused(tmp_path, content):
    files.write(tmp_path, "key", COLUMNS)
    path = tmp_path / "key" / "support.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    with pytest.raises(BadCheckpoint, match="damaged"):
        files.read(tmp_path, "key")


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="cannot write"):
        files.write(tmp_path / "file" / "columns", "key", COLUMNS)


@pytest.mark.parametrize("bad", [torch.zeros(6), torch.zeros(()), [1.0] * 7])
def test_columns_have_a_row_for_each_observation(bad):
    files.check(COLUMNS, 7, "toy.train's prepare")
    with pytest.raises(ZooError, match=r"toy.train's prepare: column 'bad' is .* needs 7 rows"):
        files.check({**COLUMNS, "bad": bad}, 7, "toy.train's prepare")


def test_the_key_depends_on_everything_that_made_them():
    state = {"weight": torch.ones(3), "bias": torch.zeros(2)}
    keys = {
        files.key_of(state, "settings", 0),
        files.key_of(state, "settings", 1),
        files.key_of(state, "other", 0),
        files.key_of({**state, "weight": torch.tensor([1.0, 1.0, 2.0])}, "settings", 0),
        files.key_of({"weight": torch.ones(3)}, "settings", 0),
    }
    assert len(keys) == 5
    assert files.key_of(dict(reversed(state.items())), "settings", 0) in keys
