"""Opens the place that a path or an fsspec URL names."""

from __future__ import annotations

from pathlib import Path

from zoo_leaderboard.store.files import Files
from zoo_leaderboard.store.folder import Folder
from zoo_leaderboard.store.remote import Remote


def is_url(place: Path | str) -> bool:
    """Whether a place is a URL rather than a path."""
    return isinstance(place, str) and "://" in place


def open_files(place: Path | str) -> Files:
    """The files of a path or an fsspec URL.

    Raises:
        ZooError: an unknown scheme, or one whose package is not installed.
    """
    if not is_url(place):
        return Folder(Path(place))
    url = str(place)
    scheme = url.partition("://")[0].rpartition("::")[2]
    if scheme in {"file", "local"}:
        return Folder(Path(url.partition("://")[2]))
    return Remote(url)
