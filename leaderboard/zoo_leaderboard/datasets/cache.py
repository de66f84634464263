"""The flat cache: each dataset once as plain .npy files, memory-mapped ever after.

A copy lies in `cache/datasets/<id>/<key>/` of the zoo's folder; the key is a hash of the source's
files (path, size, time of change) and the loader's version, so a changed dataset is read again. A
copy appears by one rename, under a lock; one that is damaged is built anew. The whole folder may
be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo_core.data import OfflineData
from zoo_leaderboard.datasets.home import lock, replacing, zoo_home
from zoo_leaderboard.datasets.reading import LOADER_VERSION, Arrays

_NAMES = ("observations", "actions", "rewards", "terminations", "truncations", "lengths")


def source_key(data_path: Path) -> str:
    """16 hexadecimal digits that change with any file of the dataset, its place or the loader."""
    files = sorted(path for path in data_path.rglob("*") if path.is_file())
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps([LOADER_VERSION, stats]).encode()).hexdigest()[:16]


def cached(name: str, data_path: Path, read: Callable[[], Arrays]) -> OfflineData:
    """The dataset as memory-mapped tensors; `read` is called only if there is no good copy.

    Its `digest` is the one stored when the copy was made.

    Raises:
        ZooError: what `read` raises; a folder that cannot be written.
    """
    folder = zoo_home() / "cache" / "datasets" / name / source_key(data_path)
    data = _load(name, folder)
    if data is not None:
        return data
    with lock(f"cache/{name}"):
        data = _load(name, folder)
        if data is None:
            _store(name, folder, read())
            data = _load(name, folder)
    if data is None:
        raise RuntimeError(f"the copy of '{name}' just written to '{folder}' cannot be read")
    return data


def _store(name: str, folder: Path, arrays: Arrays) -> None:
    with replacing(folder) as fresh:
        for key in _NAMES:
            np.save(fresh / f"{key}.npy", arrays[key], allow_pickle=False)
        sizes = {key: (fresh / f"{key}.npy").stat().st_size for key in _NAMES}
        meta = {"name": name, "digest": _tensors(name, arrays).digest, "bytes": sizes}
        (fresh / "meta.json").write_text(json.dumps(meta, indent=1))
    for other in folder.parent.iterdir():
        # Copies of an earlier state of the dataset; folders of other ids have no meta.json.
        if other != folder and (other / "meta.json").exists():
            shutil.rmtree(other, ignore_errors=True)


def _load(name: str, folder: Path) -> OfflineData | None:
    """The copy, or none where it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        meta = json.loads((folder / "meta.json").read_text())
        paths = {key: folder / f"{key}.npy" for key in _NAMES}
        if all(path.stat().st_size == meta["bytes"][key] for key, path in paths.items()):
            # Copy-on-write pages: torch wants memory that it may write, the file stays as it is.
            arrays = {key: np.load(path, mmap_mode="c") for key, path in paths.items()}
            data = _tensors(name, arrays)
            vars(data)["digest"] = str(meta["digest"])
            return data
    return None


def _tensors(name: str, arrays: Mapping[str, Any]) -> OfflineData:
    import torch

    tensors: dict[str, Any] = {key: torch.from_numpy(arrays[key]) for key in _NAMES}
    return OfflineData(**tensors, name=name)
