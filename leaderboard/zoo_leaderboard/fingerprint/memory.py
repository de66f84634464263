"""Code in memory: the functions and classes of a spec, and a hash of those without a file."""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
from collections.abc import Iterable, Mapping
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

Defined = FunctionType | type
"""A function or class that a module defines."""


def defined_by(values: Iterable[Any]) -> set[Defined]:
    """The functions and classes that make values: those of fields, partials, methods, wrappers and
    callable objects too."""
    found: set[Defined] = set()
    for value in values:
        _add(value, found)
    return found


def callables_of(spec: Any) -> list[Any]:
    """The functions and classes in the fields of a registered spec."""
    values = (getattr(spec, field.name) for field in dataclasses.fields(spec))
    return [value for value in values if callable(value)]


def _add(value: Any, found: set[Defined]) -> None:
    if isinstance(value, functools.partial):
        for part in (value.func, *value.args, *value.keywords.values()):
            if callable(part):
                _add(part, found)
    elif isinstance(value, MethodType):
        _add(value.__func__, found)
        _add(value.__self__, found)
    elif isinstance(value, type):
        found.update(base for base in value.__mro__ if base is not object)
    elif isinstance(value, FunctionType):
        if value not in found:
            found.add(value)
            _add(getattr(value, "__wrapped__", None), found)
    elif value is not None:
        _add(getattr(value, "__wrapped__", None), found)
        _add(type(value), found)


def memory_digest(defined: Iterable[Defined]) -> str:
    """A hash of functions and classes that have no file, such as those of a notebook, and of what
    they use of their own modules. Docstrings and line numbers don't matter."""
    seen: dict[int, Any] = {}
    lines = [_text(one, seen) for one in sorted(defined, key=lambda one: one.__qualname__)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _text(value: Any, seen: dict[int, Any]) -> str:
    """The meaning of a value as text, without addresses."""
    if isinstance(value, bool | int | float | complex | str | bytes | None):
        return repr(value)
    if id(value) in seen:
        return f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"
    seen[id(value)] = value
    if isinstance(value, Mapping):
        return _texts((item for pair in value.items() for item in pair), seen)
    if isinstance(value, list | tuple):
        return _texts(value, seen)
    if isinstance(value, functools.partial):
        return _texts((value.func, value.args, value.keywords), seen)
    if isinstance(value, MethodType | classmethod | staticmethod):
        return _text(value.__func__, seen)
    if isinstance(value, property):
        return _texts((value.fget, value.fset), seen)
    if isinstance(value, FunctionType):
        return _function(value, seen)
    if isinstance(value, type):
        own = [(name, one) for name, one in vars(value).items() if _matters(name, one)]
        return f"{value.__qualname__}{_texts(own, seen)}"
    return type(value).__qualname__


def _texts(values: Iterable[Any], seen: dict[int, Any]) -> str:
    return f"({','.join(_text(value, seen) for value in values)})"


def _matters(name: str, member: Any) -> bool:
    """Whether a member of a class is its own code or a constant of it."""
    hidden = name.startswith("__") and name.endswith("__")
    return isinstance(member, FunctionType) or not hidden


def _function(function: FunctionType, seen: dict[int, Any]) -> str:
    used = []
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name)
        if getattr(value, "__module__", function.__module__) == function.__module__:
            used.append((name, value))
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
    parts = (function.__defaults__, function.__kwdefaults__, cells, used)
    return _code(function.__code__) + _texts(parts, seen)


_EMPTY = CellType()


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    return names.union(*(_names(one) for one in code.co_consts if isinstance(one, CodeType)))


def _code(code: CodeType) -> str:
    steps = []
    for step in dis.get_instructions(code):
        value = _code(step.argval) if isinstance(step.argval, CodeType) else repr(step.argval)
        steps.append(f"{step.opname} {value}")
    return f"{code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}[{';'.join(steps)}]"
