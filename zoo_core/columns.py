"""Prepared columns: memory-mapped files named by the hash of what made them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo_core.errors import BadCheckpoint, Unwritable, ZooError


def key_of(state: Mapping[str, Tensor], *names: object) -> str:
    """A hash of an agent's state and of everything else that decides what is prepared."""
    sha = hashlib.sha256("\x1f".join(map(str, names)).encode())
    for name in sorted(state):
        sha.update(name.encode())
        sha.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()[:24]


def check(columns: Mapping[str, Tensor], rows: int, who: str) -> None:
    """Raises ZooError where a column has not one row per stored observation."""
    for name, column in columns.items():
        if not isinstance(column, Tensor) or column.dim() < 1 or len(column) != rows:
            shape = list(column.shape) if isinstance(column, Tensor) else type(column).__name__
            raise ZooError(f"{who}: column '{name}' is {shape}; it needs {rows} rows")


def write(directory: Path, key: str, columns: Mapping[str, Tensor]) -> None:
    """Writes the columns to `directory/key`, by rename; nothing where they are there already.

    Raises:
        Unwritable: the place cannot be written to.
    """
    final = directory / key
    if final.exists():
        return
    temporary: Path | None = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=directory, prefix=f".{key}."))
        for name, column in columns.items():
            np.save(temporary / f"{name}.npy", column.detach().cpu().numpy())
        temporary.rename(final)
    except OSError as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        # Another process that prepared the same columns may have been first.
        if not final.exists():
            raise Unwritable(
                f"cannot write the columns {final}: {error.strerror or error}"
            ) from None


def read(directory: Path, key: str) -> dict[str, Tensor]:
    """The columns of `directory/key`, memory-mapped.

    Raises:
        BadCheckpoint: they are not there, or damaged.
    """
    folder = directory / key
    if not folder.is_dir():
        raise BadCheckpoint(
            f"the prepared columns {folder} are missing; start the run from scratch"
        )
    try:
        # Copy-on-write, since torch warns of read-only arrays; nothing writes to them.
        return {
            file.stem: torch.from_numpy(np.load(file, mmap_mode="c"))
            for file in sorted(folder.glob("*.npy"))
        }
    except (OSError, EOFError, ValueError) as error:
        raise BadCheckpoint(f"the prepared columns {folder} are damaged ({error})") from None
