"""A folder that one process works in at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from zoo_core.errors import Unwritable


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Holds a folder for this process, or gives False where another one has it.

    The lock is a file of the folder: it holds among those who share that. The kernel frees it when
    the process dies, so none is ever left behind. The holder may remove the folder.

    Raises:
        Unwritable: the folder cannot be written, or its disk has no locks.
    """
    try:
        handle = _lock(folder)
    except OSError as error:
        raise Unwritable(f"cannot lock {folder}: {error.strerror or error}") from error
    if handle is None:
        yield False
        return
    _HELD.add(handle)
    try:
        yield True
    finally:
        _HELD.discard(handle)
        os.close(handle)


def _lock(folder: Path) -> int | None:
    """The locked file; None where another process has it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            raise
        # The folder may have been removed by its previous holder in the meantime.
        if _same_file(handle, folder / "lock"):
            return handle
        os.close(handle)


_HELD: set[int] = set()
"""This process's locks."""


def _leave_locks() -> None:
    for handle in _HELD:
        os.close(handle)
    _HELD.clear()


# A lock belongs to every process that inherits its handle: what a job forks must not hold the job
# when its own process is dead.
os.register_at_fork(after_in_child=_leave_locks)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
