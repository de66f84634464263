import pytest
from s3 import s3, s3_server
from worlds import home, world

__all__ = ["home", "s3", "s3_server", "world"]


@pytest.fixture(autouse=True)
def _own_index(tmp_path, monkeypatch):
    """No test leaves an index of its store in the user's cache."""
    monkeypatch.setattr("zoo_leaderboard.board.index.zoo_home", lambda: tmp_path / "cache-home")
