"""The flat cache: each dataset once as plain .npy files, memory-mapped ever after.

A copy lies in `cache/datasets/<id>/<key>/` of the zoo's folder; the key is a hash of the source's
files (path, size, time of change) and the loader's version, so a changed dataset is read again. A
copy appears by one rename, under a lock; a damaged one is rebuilt. The whole folder may
be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo_core.data import OfflineData
from zoo_leaderboard.datasets.home import lock, replacing, zoo_home
from zoo_leaderboard.datasets.reading import LOADER_VERSION, Reading

_NAMES = ("observations", "actions", "rewards", "terminations", "truncations", "lengths")


class Cached(NamedTuple):
    """A dataset's flat copy."""

    data: OfflineData
    """Memory-mapped tensors; the digest is the one stored when the copy was made."""
    notes: tuple[str, ...]
    """Lines on what float32 loses of its numbers."""


def source_key(data_path: Path) -> str:
    """16 hexadecimal digits that change with any file of the dataset, its place or the loader."""
    files = sorted(path for path in data_path.rglob("*") if path.is_file())
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps([LOADER_VERSION, stats]).encode()).hexdigest()[:16]


def cached(name: str, data_path: Path, read: Callable[[], Reading]) -> Cached:
    """The dataset's copy; `read` is called only if there is no good one.

    Raises:
        ZooError: what `read` raises; a folder that cannot be written.
    """
    copy = available(name, data_path)
    if copy is not None:
        return copy
    with lock(f"cache/{name}"):
        copy = available(name, data_path)
        if copy is None:
            _store(name, _folder(name, data_path), read())
            copy = available(name, data_path)
    if copy is None:
        raise RuntimeError(f"the copy of '{name}' just written cannot be read")
    return copy


def available(name: str, data_path: Path) -> Cached | None:
    """The dataset's copy, or None if it is missing or damaged."""
    return _load(name, _folder(name, data_path))


def stored_notes(name: str, data_path: Path) -> tuple[str, ...]:
    """The lines stored with the dataset's copy; none if it has not been read yet."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        meta = json.loads((_folder(name, data_path) / "meta.json").read_text())
        return tuple(map(str, meta["notes"]))
    return ()


def _folder(name: str, data_path: Path) -> Path:
    return zoo_home() / "cache" / "datasets" / name / source_key(data_path)


def _store(name: str, folder: Path, reading: Reading) -> None:
    arrays = reading.arrays
    with replacing(folder) as fresh:
        for key in _NAMES:
            np.save(fresh / f"{key}.npy", arrays[key], allow_pickle=False)
        sizes = {key: (fresh / f"{key}.npy").stat().st_size for key in _NAMES}
        meta = {
            "name": name,
            "digest": _tensors(name, arrays).digest,
            "bytes": sizes,
            "notes": reading.notes,
        }
        (fresh / "meta.json").write_text(json.dumps(meta, indent=1))
    for other in folder.parent.iterdir():
        # Copies of an earlier state of the dataset; folders of other ids have no meta.json.
        if other != folder and (other / "meta.json").exists():
            shutil.rmtree(other, ignore_errors=True)


def _load(name: str, folder: Path) -> Cached | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        meta = json.loads((folder / "meta.json").read_text())
        paths = {key: folder / f"{key}.npy" for key in _NAMES}
        if all(path.stat().st_size == meta["bytes"][key] for key, path in paths.items()):
            # Copy-on-write pages: torch wants memory that it may write, the file stays as it is.
            arrays = {key: np.load(path, mmap_mode="c") for key, path in paths.items()}
            data = _tensors(name, arrays)
            vars(data)["digest"] = str(meta["digest"])
            return Cached(data, tuple(map(str, meta["notes"])))
    return None


def _tensors(name: str, arrays: Mapping[str, Any]) -> OfflineData:
    import torch

    tensors: dict[str, Any] = {key: torch.from_numpy(arrays[key]) for key in _NAMES}
    return OfflineData(**tensors, name=name)
