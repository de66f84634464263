"""Arrays of an open file; observations may be a group of several, which are joined."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_core.text import printable
from zoo_leaderboard.datasets.importing.episodes import Log
from zoo_leaderboard.datasets.importing.naming import SYNONYMS, listed
from zoo_leaderboard.datasets.importing.rows import vectors

DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Exceptions that h5py and numpy raise for a file with damaged bytes, links or filters."""
_JOINED = {*SYNONYMS["observations"], *SYNONYMS["next_observations"]}


def array_of(file: Mapping[str, Any], name: str, log: Log) -> NDArray[Any]:
    """The array of a name; a group of observations [N, O_i] is joined to [N, O].

    Entries are joined in the order of their names, as Gymnasium flattens a dictionary.

    Raises:
        ZooError: another group; images among the observations; Python objects; damage.
    """
    try:
        item = file[name]
        if not hasattr(item, "keys"):
            return np.asarray(item[()])
        entries = {key: item[key] for key in sorted(item)}
        if name.rpartition("/")[2] not in _JOINED or any(
            hasattr(e, "keys") for e in entries.values()
        ):
            raise ZooError(f"its {printable(name)} is a group{_of(entries)}, not one array")
        return _joined({key: np.asarray(entry[()]) for key, entry in entries.items()}, name, log)
    except DAMAGE as error:
        if "Object arrays" in str(error):
            problem = "are Python objects; save arrays of numbers, a row a transition"
        else:
            problem = (
                "cannot be read: the file is damaged, or needs another file or a compression "
                "filter that is missing"
            )
        raise ZooError(f"its {printable(name, 40)} {problem}") from None


def contents(file: Mapping[str, Any]) -> str:
    """Description, for a message, of the contents of an open file that is not a log."""
    names = list(file)
    if not names and (attributes := list(getattr(file, "attrs", ()))):
        return f"attributes alone ({listed(attributes)})"
    if len(names) == 1:
        try:
            item = file[names[0]]
        except ValueError:
            return f"{printable(names[0], 24)}, which is Python objects"
        except DAMAGE:
            return listed(names)
        if hasattr(item, "keys"):
            return f"a group {printable(names[0], 24)}{_of(item)}"
    return listed(names) or "nothing"


def _joined(entries: dict[str, NDArray[Any]], name: str, log: Log) -> NDArray[Any]:
    if not entries:
        raise ZooError(f"its {printable(name)} is an empty group")
    images = [key for key, array in entries.items() if array.ndim > 2]
    if images:
        shape = "x".join(map(str, entries[images[0]].shape[1:]))
        raise ZooError(
            f"its {printable(name)} is a group{_of(entries)}; {printable(images[0])} holds "
            f"images or matrices ({shape}); the zoo reads vectors"
        )
    parts = {key: vectors(f"{name}/{key}", array) for key, array in entries.items()}
    lengths = {len(part) for part in parts.values()}
    if len(lengths) > 1:
        raise ZooError(f"its {printable(name)} is a group{_of(entries)}, of different lengths")
    stops = np.cumsum([part.shape[1] for part in parts.values()]).tolist()
    starts = [0, *stops[:-1]]
    columns = {k: slice(*each) for k, *each in zip(parts, starts, stops, strict=True)}
    if log.entries not in ({}, columns):
        raise ZooError(
            f"its {printable(name)} is a group{_of(entries)}, and another of its groups has other "
            "entries or sizes"
        )
    log.entries = columns
    return np.concatenate(list(parts.values()), axis=1)


def _of(entries: Mapping[str, Any]) -> str:
    return f" of {listed(entries)}" if entries else " without entries"
