"""File names from names that a plugin or a dataset chose: safe on every disk and web host.

A name that is lower-case letters, digits, `.`, `_` and `-` stays as it is, with `~` for a `/`. Any
other keeps what is left of it, and a hash that tells it from others. None leads out of its folder.
"""

from __future__ import annotations

import hashlib
import posixpath
import re

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*(/[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*)*")
_LONGEST = 80
RESERVED = frozenset({"index", "con", "prn", "aux", "nul"})
"""Names of this site's own pages, and of devices on some systems."""


def slug(name: str) -> str:
    """A file's name without its ending; two names never share one."""
    first = name.partition(".")[0]
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST and first not in RESERVED:
        return name.replace("/", "~")
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: _LONGEST // 2].strip("-")
    hashed = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kept or 'name'}~{hashed[:10]}"


def link(source: str, target: str) -> str:
    """The relative address of a file of the site from another; both are paths from its root."""
    return posixpath.relpath(target, posixpath.dirname(source) or ".")


def track_page(track: str) -> str:
    """The page of a track's table."""
    return f"tracks/{slug(track)}/index.html"


def figures_page(track: str) -> str:
    """The page of a track's figures and downloads."""
    return f"tracks/{slug(track)}/figures.html"


def published_page(track: str) -> str:
    """The page of a track's scores beside published ones."""
    return f"tracks/{slug(track)}/published.html"


def row_page(track: str, row: str) -> str:
    """The page of a row of a track."""
    return f"tracks/{slug(track)}/rows/{slug(row)}/index.html"


def cell_page(track: str, row: str, dataset: str) -> str:
    """The page of a row's runs on a dataset."""
    return f"tracks/{slug(track)}/rows/{slug(row)}/{slug(dataset)}.html"


def algorithm_page(name: str) -> str:
    """The page of an algorithm."""
    return f"algorithms/{slug(name)}.html"


def track_file(track: str, source: str) -> str:
    """The TOML file of a track that is not a shipped one."""
    return f"tracks/{slug(track)}/data/{slug(source.removesuffix('.toml'))}.toml"
