"""Links in a store that somebody else made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def leading_out(folder: Path, names: Iterable[str]) -> set[str]:
    """The files of a folder that are links, or below links, to a place outside of it.

    Args:
        folder: The folder, which may itself be a link.
        names: Its files, relative to it.
    """
    root = os.path.realpath(folder)
    parents: dict[str, str] = {}
    found: set[str] = set()
    for name in names:
        parent, _, last = name.rpartition("/")
        if parent not in parents:
            parents[parent] = os.path.realpath(os.path.join(root, parent))
        path = os.path.join(parents[parent], last)
        real = os.path.realpath(path) if os.path.islink(path) else path
        if os.path.commonpath((root, real)) != root:
            found.add(name)
    return found
