"""The versions of what decides a run."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from zoo_core import registry as registry_module
from zoo_core.registry import Registry
from zoo_leaderboard.datasets.task import packages_of

_ALWAYS = (
    *("zoo-core", "zoo-leaderboard", "torch", "numpy"),
    *("gymnasium", "minari", "gymnasium-robotics", "mujoco"),
)


def versions(
    algorithm: str, registry: Registry | None = None, environment: str = ""
) -> dict[str, str]:
    """The versions of Python and of the distributions that decide a run.

    Args:
        algorithm: Its plugin's distribution is one of them.
        registry: If None, the installed plugins.
        environment: The identity of the environment; the distributions of its class and wrappers
            are included. A package without a distribution is listed by its `__version__`.
    """
    registry = registry or registry_module.installed()
    names = [*_ALWAYS]
    if algorithm in registry.algorithms:
        names.append(registry.algorithms[algorithm].plugin.distribution)
    found = {"python": platform.python_version()}
    packages = [name for name in packages_of(environment) if name not in _LISTED]
    if packages:
        distributions = packages_distributions()
        for package in packages:
            own = getattr(sys.modules.get(package), "__version__", None)
            names += distributions.get(package, [])
            if package not in distributions and own is not None:
                found[package] = str(own)
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


_LISTED = {name.replace("-", "_") for name in _ALWAYS}
