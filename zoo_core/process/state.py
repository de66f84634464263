"""Settings of the whole process: read before a call, compared and put back after it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class _Unreadable:
    """Value of a setting that this platform or version does not have."""


UNREADABLE = _Unreadable()


def _differing_keys(before: Any, after: Any) -> list[str]:
    """The keys at which two mappings differ; empty if the values are not mappings."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    missing = object()
    return [
        str(key)
        for key in dict.fromkeys([*before, *after])
        if before.get(key, missing) is not after.get(key, missing)
        and before.get(key, missing) != after.get(key, missing)
    ]


@dataclass(frozen=True)
class Probe:
    """A setting that can be read and put back."""

    name: str
    """A noun phrase, such as "torch's default dtype"."""
    read: Callable[[], Any]
    """Returns the current value, which later changes must not alter. If it raises, the setting is
    absent."""
    restore: Callable[[Any], object]
    """Restores a value that `read` returned."""
    same: Callable[[Any, Any], bool] = operator.eq
    """Whether two values, before and after, are equal."""
    differences: Callable[[Any, Any], list[str]] = _differing_keys
    """Names of the entries that differ between two composite values."""

    def value(self) -> Any:
        """The current value; `UNREADABLE` if the setting does not exist here."""
        try:
            return self.read()
        except Exception:
            return UNREADABLE

    def undo(self, before: Any) -> str:
        """Restores the value if it changed. Returns a description of the change; empty if none."""
        after = self.value()
        if before is UNREADABLE or (after is not UNREADABLE and self.same(before, after)):
            return ""
        names = self.differences(before, after)
        listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        described = f"{self.name} ({listed})" if names else self.name
        try:
            self.restore(before)
        except Exception:
            return f"{described}, which can't be undone"
        return described


def attribute(path: str, name: str = "") -> Probe:
    """The probe of an attribute such as `sys.excepthook`, whose owner must be imported already."""
    owner, _, last = path.rpartition(".")
    return Probe(
        name or path,
        lambda: getattr(_object(owner), last),
        lambda value: setattr(_object(owner), last, value),
    )


@functools.cache
def _object(path: str) -> Any:
    module, _, rest = path.partition(".")
    return functools.reduce(getattr, filter(None, rest.split(".")), importlib.import_module(module))


@contextlib.contextmanager
def unchanged(probes: Sequence[Probe]) -> Iterator[list[str]]:
    """Puts settings back as they were before the block.

    Yields:
        A list that, after the block, holds descriptions of what the block changed.
    """
    before = [(probe, probe.value()) for probe in probes]
    changes: list[str] = []
    try:
        yield changes
    finally:
        changes += filter(None, [probe.undo(value) for probe, value in before])
