"""Identity of a task: the environment's code, arguments, wrappers and time limit.

Two specifications of one task have one identity: it does not depend on the order of arguments, on
1 or 1.0, on fields that change no number, on wrappers that only record, or on Gymnasium's version.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

from zoo_leaderboard.datasets.registration import env_spec, silence_notices

_NEUTRAL = (
    *("HumanRendering", "OrderEnforcing", "PassiveEnvChecker"),
    *("RecordEpisodeStatistics", "RecordVideo", "RenderCollection"),
)
"""Gymnasium's wrappers that change no observation, action, reward or end of an episode."""

Task = dict[str, Any]
"""id, entry_point, kwargs, max_episode_steps, wrappers: JSON data in one form."""


def task_of(spec: Mapping[str, Any]) -> Task:
    """The task of a specification; a registered environment's own values are filled in.

    Of an environment that is not registered here, what the specification says.
    """
    fields = dict(spec)
    if not fields.get("entry_point"):
        try:
            found = env_spec(fields)
            fields = {field: getattr(found, field) for field in found.__dataclass_fields__}
        except (Exception, SystemExit):
            pass
    limit = fields.get("max_episode_steps")
    kwargs = {**(fields.get("kwargs") or {})}
    kwargs.pop("render_mode", None)
    module, _, id = str(fields["id"]).rpartition(":")
    return {
        "id": id,
        "entry_point": _name(fields.get("entry_point") or module),
        "kwargs": _canonical(kwargs),
        "max_episode_steps": int(limit) if limit and limit > 0 else None,
        "wrappers": [
            {"entry_point": _name(_get(w, "entry_point")), "kwargs": _canonical(_get(w, "kwargs"))}
            for w in fields.get("additional_wrappers") or ()
            if not _neutral(w)
        ],
    }


def identity_of(task: Task) -> str:
    """A task as text: the same for two if they are the same task."""
    return json.dumps(task, sort_keys=True)


def packages_of(identity: str) -> list[str]:
    """The packages that hold the code of a task, by the names under which they are imported."""
    try:
        task = json.loads(identity)
        entries = [task["entry_point"], *(wrapper["entry_point"] for wrapper in task["wrappers"])]
        if task["entry_point"] == "gymnasium:make":
            entries.append(task["kwargs"]["id"])
    except (ValueError, TypeError, KeyError):
        return []
    modules = (entry.partition(":")[0] for entry in entries if ":" in entry)
    return sorted({module.partition(".")[0] for module in modules})


def differences(one: Task, other: Task) -> list[str]:
    """Differences between two tasks, in a word or two each; empty if both are the same task.

    An argument that is the constructor's default, and another name of the same class, are no
    difference where the environment's package is installed.
    """
    if one == other:
        return []
    one, other = resolved(one), resolved(other)
    names = {
        "id": "ids",
        "entry_point": "entry points",
        "kwargs": "arguments",
        "max_episode_steps": "time limits",
        "wrappers": "wrappers",
    }
    return [name for part, name in names.items() if one[part] != other[part]]


def resolved(task: Task) -> Task:
    """A task without arguments that are defaults, its classes by their own names, as far as its
    packages are installed here."""
    wrappers = [dict(zip(w, _code(**w), strict=True)) for w in task["wrappers"]]
    entry, kwargs = _code(task["entry_point"], task["kwargs"])
    return {**task, "entry_point": entry, "kwargs": kwargs, "wrappers": wrappers}


def _code(entry_point: str, kwargs: Any) -> tuple[str, Any]:
    module, _, name = entry_point.partition(":")
    silence_notices()
    try:
        code = getattr(importlib.import_module(module), name)
        parameters = inspect.signature(code).parameters
    except (Exception, SystemExit):
        return entry_point, kwargs
    changed = {
        key: value
        for key, value in (kwargs or {}).items()
        if key not in parameters or _canonical(parameters[key].default) != value
    }
    return f"{code.__module__}:{getattr(code, '__qualname__', name)}", changed


def _get(wrapper: Any, field: str) -> Any:
    return wrapper.get(field) if isinstance(wrapper, Mapping) else getattr(wrapper, field)


def _neutral(wrapper: Any) -> bool:
    ours = str(_get(wrapper, "entry_point")).startswith("gymnasium.wrappers")
    return ours and _get(wrapper, "name") in _NEUTRAL


def _name(entry: Any) -> str:
    """An entry point as text; a function by its module and name."""
    if callable(entry):
        return f"{entry.__module__}:{getattr(entry, '__qualname__', type(entry).__qualname__)}"
    return str(entry or "")


def _canonical(value: Any) -> Any:
    """JSON data in which equal values are written in one way."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(part) for part in value]
    if hasattr(value, "tolist"):
        return _canonical(value.tolist())
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _name(value) if callable(value) else repr(value)
