"""Texts of a record can harm neither a page nor the machine that builds it."""

import pytest
from synthetic import synthetic

from zoo_core import ZooError
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.report.page.build import Ranking, write_site
from zoo_leaderboard.report.page.publish import publish
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track


def test_pages_hold_no_character_that_a_browser_obeys(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo_leaderboard.report.page.build.figures_of", lambda board: [])
    store, harm = Store(tmp_path / "runs"), "x\x1b[31m\u202e\x00evil"
    store.put(synthetic(harm, "a-v0", 0))
    store.put(synthetic("bc", "a-v0", 0, failure=harm))
    track = Track(name="demo", summary=harm, datasets=["a-v0"])
    write_site(tmp_path / "site", [Ranking(load(store, track, check=False), "demo")])
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 4
    for path in pages:
        text = path.read_text()
        assert all(c.isprintable() or c == "\n" for c in text), path
    assert "x\\x1b[31m" in (tmp_path / "site" / "tracks" / "demo" / "index.html").read_text()


@pytest.mark.parametrize("name", ["{}/secret.toml", "secret.toml", "../secret.toml", "nowhere"])
def test_a_records_track_is_no_path_to_publish(tmp_path, monkeypatch, name):
    """Another user's record names a file of this machine as its track."""
    secret = tmp_path / "secret.toml"
    secret.write_text('name = "secret"\nsummary = "s"\ndatasets = ["a-v0"]\n# private\n')
    monkeypatch.chdir(tmp_path)
    store, told = Store(tmp_path / "runs"), []
    store.put(synthetic("bc", "a-v0", 0, track=name.format(tmp_path)))
    with pytest.raises(ZooError, match="no run of a known track"):
        publish(tmp_path / "site", store, tell=told.append)
    assert len(told) == 1
    assert not list(tmp_path.glob("site/**/*.toml"))
