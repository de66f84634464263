"""Environments by name: an id or a specification -> Gymnasium's `EnvSpec`, and back to JSON."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib
import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_core.errors import ZooError

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

_REGISTERING = ("gymnasium_robotics", "zoo_leaderboard.datasets.embedded.bandit_env")
"""Modules that register the environments of public datasets; importing Gymnasium does not."""
_RECORDING = ("RecordVideo", "HumanRendering", "RenderCollection")
"""Gymnasium's wrappers that show or record a run; an evaluation leaves them out."""


def registered(id: str) -> EnvSpec:
    """The registered specification of an id as Gymnasium resolves it.

    Args:
        id: An id such as `Hopper-v5` or `namespace/Env-v1`; `module:Env-v0` imports the module
            first; without a version, the latest is meant.

    Raises:
        ImportError: the module cannot be imported.
        gymnasium.error.Error: nothing is registered under the id.
    """
    import gymnasium
    from gymnasium.envs import registration

    module, _, name = id.rpartition(":")
    if module:
        importlib.import_module(module)
    namespace, bare, version = registration.parse_env_id(name)

    def resolved() -> str:
        latest = registration.find_highest_version(namespace, bare) if version is None else None
        return name if latest is None else registration.get_env_id(namespace, bare, latest)

    if resolved() not in registration.registry:
        _register_plugins()
        _register_public()
    return gymnasium.spec(resolved())


def env_spec(fields: Mapping[str, Any]) -> EnvSpec:
    """Gymnasium's specification of a dataset's: as given if it has an entry point, else the
    registered one with its changes.

    Raises:
        ImportError, gymnasium.error.Error: as :func:`registered`.
    """
    from gymnasium.envs.registration import EnvSpec

    # Specifications written by other versions have fields that this one does not know.
    known = {field.name for field in dataclasses.fields(EnvSpec) if field.init}
    given = {key: value for key, value in fields.items() if key in known}
    if not given.get("entry_point"):
        base = registered(str(fields["id"]))
        given = {key: value for key, value in given.items() if key not in ("id", "entry_point")}
        kwargs = {**copy.deepcopy(base.kwargs), **(given.get("kwargs") or {})}
        plain = {field: getattr(base, field) for field in known}
        given = {**plain, **given, "kwargs": kwargs}
    else:
        given["kwargs"] = copy.deepcopy(dict(given.get("kwargs") or {}))
    # How the environment was shown when it was logged is no part of the task.
    given["kwargs"].pop("render_mode", None)
    if given.get("max_episode_steps") is not None:
        given["max_episode_steps"] = int(given["max_episode_steps"])
    wrappers = map(_wrapper_spec, given.get("additional_wrappers") or ())
    given["additional_wrappers"] = tuple(w for w in wrappers if not _records(w))
    return EnvSpec(**given)


def portable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A specification as JSON data from which every process that has the package can make the same
    environment. An entry point that is a function is named by its module, or made by its id.

    Raises:
        ImportError, gymnasium.error.Error: as :func:`registered`.
        ZooError: an argument that JSON cannot hold; an environment that no other process can find.
    """
    given = {name: _plain(name, value) for name, value in (fields.get("kwargs") or {}).items()}
    spec = env_spec({**fields, "kwargs": given})
    found = {
        field.name: getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if field.init and field.name != "additional_wrappers"
    }
    found["additional_wrappers"] = [dataclasses.asdict(w) for w in spec.additional_wrappers]
    for field in ("entry_point", "vector_entry_point"):
        if callable(found[field]):
            found[field] = _importable(found[field])
    try:
        if found["entry_point"] or spec.entry_point is None:
            result: dict[str, Any] = json.loads(json.dumps(found))
            return result
    except (TypeError, ValueError):
        pass
    return {
        "id": spec.id,
        "entry_point": "gymnasium:make",
        "kwargs": {"id": _findable(str(fields["id"]), spec), "disable_env_checker": True, **given},
        "max_episode_steps": spec.max_episode_steps,
        "additional_wrappers": [],
    }


def silence_notices() -> None:
    """Drops the notices that Farama's packages print at import whatever environment is made."""
    try:
        from farama_notifications import notifications
    except ImportError:
        return
    notifications.clear()


def _register_plugins() -> None:
    """Registers the environments of installed packages that declare them to Gymnasium, which has
    left this to `module:Env-v0` since its version 1."""
    from gymnasium.envs import registration

    for point in entry_points(group="gymnasium.envs"):
        namespace: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if not point.name.startswith("__"):
            namespace = registration.namespace(point.name)
        # Gymnasium leaves the namespace as it is where an exception passes through.
        with namespace, contextlib.suppress(Exception):
            found = point.load()
            if callable(found):
                found()


def _register_public() -> None:
    silence_notices()
    for module in _REGISTERING:
        importlib.import_module(module)


def _wrapper_spec(wrapper: Any) -> Any:
    from gymnasium.envs.registration import WrapperSpec

    if isinstance(wrapper, WrapperSpec):
        return wrapper
    return WrapperSpec(**{name: wrapper.get(name) for name in ("name", "entry_point", "kwargs")})


def _records(wrapper: Any) -> bool:
    ours = str(wrapper.entry_point).startswith("gymnasium.wrappers")
    return ours and wrapper.name in _RECORDING


def _importable(entry: Any) -> str | None:
    """`module:name` of a function or class; None if that is not where it is found."""
    module, name = getattr(entry, "__module__", None), getattr(entry, "__qualname__", "")
    if not module or module == "__main__" or not name.isidentifier():
        return None
    found = getattr(importlib.import_module(module), name, None)
    return f"{module}:{name}" if found is entry else None


def _findable(id: str, spec: EnvSpec) -> str:
    """An id under which another process finds a registered environment."""
    if ":" in id:
        return id
    module = getattr(spec.entry_point, "__module__", None)
    if module == "__main__" or str(spec.entry_point).startswith("__main__:"):
        raise ZooError(
            f"environment '{id}' is defined in a script, where no other process finds it; "
            f"move it into a module and name it 'module:{id}'"
        )
    return f"{module}:{spec.id}" if module else spec.id


def _plain(name: str, value: Any) -> Any:
    """An argument as JSON holds it; numpy's arrays and numbers become Python's."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        raise ZooError(
            f"argument '{name}' of the environment is a {type(value).__name__}, which a dataset's "
            "metadata cannot hold; register the environment with it"
        ) from None
