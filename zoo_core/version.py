"""Versions of the product and of its results."""

from importlib.metadata import PackageNotFoundError, version

SEMANTICS = 2
"""Raised whenever training results can change; part of every result's key."""

try:
    __version__ = version("zoo-core")
except PackageNotFoundError:
    __version__ = "0.0.0"
