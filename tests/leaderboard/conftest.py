import pytest
from worlds import home, world

__all__ = ["home", "world"]


@pytest.fixture(autouse=True)
def _own_index(tmp_path, monkeypatch):
    """No test leaves an index of its store in the user's cache."""
    monkeypatch.setattr("zoo_leaderboard.board.index.zoo_home", lambda: tmp_path / "cache-home")
