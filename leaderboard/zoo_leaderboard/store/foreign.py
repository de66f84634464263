"""Files of a store that somebody else made, which may be links and pipes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

OUTSIDE = "it is a link to a place outside of the store, which is not followed"
NO_FILE = "it is not a file but a pipe or a device"


def foreign(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The names of a folder that must not be copied from it, each with the reason: links, or files
    below links, that lead out of the folder, and what is no file.

    Args:
        folder: The folder, which may itself be a link.
        names: Its files, relative to it.
    """
    root = os.path.realpath(folder)
    parents: dict[str, str] = {}
    found: dict[str, str] = {}
    for name in names:
        parent, _, last = name.rpartition("/")
        if parent not in parents:
            parents[parent] = os.path.realpath(os.path.join(root, parent))
        path = os.path.join(parents[parent], last)
        real = os.path.realpath(path) if os.path.islink(path) else path
        if os.path.commonpath((root, real)) != root:
            found[name] = OUTSIDE
        elif os.path.exists(real) and not stat.S_ISREG(os.stat(real).st_mode):
            found[name] = NO_FILE
    return found
