"""Redirection of a guarded call's output to stderr, which keeps a command's own output intact."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def output_to_stderr() -> Iterator[list[str]]:
    """Sends the block's output to stderr, including that of C code and child processes.

    Afterwards `sys.stdout` and `sys.stderr` are the same streams as before, and open.

    Yields:
        A list that holds, in words, what the block did to them, when the block has ended.
    """
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    _flush(*streams.values())
    kept = {number: _duplicate(number) for number in (1, 2)}
    if None not in kept.values():
        os.dup2(2, 1)
    sys.stdout = sys.stderr
    changes: list[str] = []
    try:
        yield changes
    finally:
        _flush(sys.stdout, sys.stderr)
        for number, copy in kept.items():
            if copy is not None:
                if _closed(number):
                    changes.append(f"descriptor {number} (closed)")
                os.dup2(copy, number)
                os.close(copy)
        for name, stream in streams.items():
            closed = getattr(stream, "closed", False)
            if getattr(sys, name) is not streams["stderr"]:
                changes.append(f"sys.{name}")
            elif closed:
                # The closed stream may be `sys.stdout`, which is stderr during the call.
                changes.append("sys.stdout or sys.stderr (closed)")
            setattr(sys, name, _reopened(name, stream) if closed else stream)


def _flush(*streams: Any) -> None:
    for stream in streams:
        # A plugin's own stream may raise anything; its unwritten text is lost.
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).fflush(None)


def _duplicate(number: int) -> int | None:
    try:
        return os.dup(number)
    except OSError:
        return None


def _closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def _reopened(name: str, closed: Any) -> Any:
    """A stream like a closed one, if it was the process's own."""
    if closed is not getattr(sys, f"__{name}__"):
        return closed
    number = {"stdout": 1, "stderr": 2}[name]
    raw = io.FileIO(number, "w", closefd=False)
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw), closed.encoding, closed.errors, line_buffering=raw.isatty()
    )
    setattr(sys, f"__{name}__", stream)
    return stream
