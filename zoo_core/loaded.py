"""Modules as they were when this process loaded them, to notice that a file was edited since."""

from __future__ import annotations

import os
import sys
import zlib
from types import ModuleType

_Stamp = tuple[int, int, int]

_noted: dict[str, tuple[object, _Stamp]] = {}
"""By module: its spec, which a reload replaces, and its file's stamp at that time."""


def note_modules() -> None:
    """Notes the files of modules that were loaded, or loaded again, since the last call."""
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        noted = _noted.get(name)
        if spec is not None and (noted is None or noted[0] is not spec):
            stamp = _stamp(module)
            if stamp is not None:
                _noted[name] = spec, stamp


def edited_modules(package: str) -> list[str]:
    """The loaded modules of a top-level package or module whose files changed since they were
    noted."""
    return sorted(
        name
        for name, (spec, stamp) in _noted.items()
        if name.partition(".")[0] == package
        and (module := sys.modules.get(name)) is not None
        and getattr(module, "__spec__", None) is spec
        and _stamp(module) != stamp
    )


def _stamp(module: ModuleType) -> _Stamp | None:
    """Stamp that changes when a module's file is edited: its contents, or its time if only
    installers write it, since reading all such files would take long."""
    try:
        path = os.fspath(module.__file__ or "")
        status = os.stat(path)
        if "site-packages" in path or path.startswith((sys.base_prefix, sys.base_exec_prefix)):
            return status.st_size, status.st_mtime_ns, 0
        with open(path, "rb") as file:
            return status.st_size, 0, zlib.crc32(file.read())
    except (AttributeError, OSError, TypeError, ValueError):
        return None
