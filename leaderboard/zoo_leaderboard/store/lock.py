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
    """Holds a folder for this process, or yields False if another process holds it.

    The lock is a file in the folder, so it works for all processes that share the folder. The
    kernel releases it when the process dies, so no stale lock remains. The holder may remove the
    folder.

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
    """The handle of the locked file; None if another process holds the lock."""
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
"""Handles of the locks that this process holds."""


def _leave_locks() -> None:
    for handle in _HELD:
        os.close(handle)
    _HELD.clear()


# A lock belongs to every process that inherits its handle: a fork of a job must not keep the lock
# after the job's own process has died.
os.register_at_fork(after_in_child=_leave_locks)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
