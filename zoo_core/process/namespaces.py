"""Functions and classes of modules that all algorithms share, which a plugin must not replace."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import operator
import os
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from zoo_core.process.state import Probe, unchanged

Members = dict[str, Any]

MODULES = (
    *(math, os, os.path, random, time, np, np.linalg, np.random),
    *(torch, torch.linalg, torch.nn, torch.nn.functional, torch.nn.init, torch.optim),
    *(torch.autograd, torch.random),
)
CLASSES = (torch.Tensor, torch.Generator, torch.optim.Optimizer, torch.optim.Adam)


@functools.cache
def _namespaces() -> dict[str, Any]:
    """Modules and classes by their names: torch's, numpy's, the core's, and some of Python's."""
    own = [module for name, module in sys.modules.items() if name.startswith("zoo_core.")]
    spaces: dict[str, Any] = {module.__name__: module for module in (*MODULES, *own)}
    for module in (torch.nn, *own):
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__.startswith(("torch.nn", "zoo_core")):
                spaces[f"{value.__module__}.{name}"] = value
    return spaces | {f"torch.{value.__name__}": value for value in CLASSES}


def _members() -> dict[str, Members]:
    return {name: dict(vars(space)) for name, space in _namespaces().items()}


_NONE = object()


def _replaced(
    before: dict[str, Members], after: dict[str, Members]
) -> Iterator[tuple[str, str, Any]]:
    """Namespace, name and former value of each function or class that is replaced or missing. The
    former value of a new one that hides a base class's is `_NONE`; other new ones are harmless."""
    for space, members in before.items():
        now = after[space]
        if members.keys() == now.keys() and all(map(operator.is_, members.values(), now.values())):
            continue
        for name, value in members.items():
            function = callable(value) or isinstance(value, staticmethod | classmethod | property)
            present = now.get(name)
            if function and present is not value and not _of_the_compiler(present, value):
                yield space, name, value
        bases = getattr(_namespaces()[space], "__mro__", ())[1:]
        for name in now.keys() - members.keys():
            if any(name in vars(base) for base in bases):
                yield space, name, _NONE


def _of_the_compiler(new: Any, old: Any) -> bool:
    """Whether torch's compiler wrapped a function, as it does to some when it is imported."""
    module = getattr(new, "__globals__", {}).get("__name__")
    return getattr(new, "__wrapped__", None) is old and module == "torch._compile"


def _restore(before: dict[str, Members]) -> None:
    for space, name, value in list(_replaced(before, _members())):
        if value is _NONE:
            delattr(_namespaces()[space], name)
        else:
            setattr(_namespaces()[space], name, value)


PROBE = Probe(
    "functions of shared modules",
    _members,
    _restore,
    lambda before, after: next(_replaced(before, after), None) is None,
    lambda before, after: [f"{space}.{name}" for space, name, _ in _replaced(before, after)],
)
"""Finds what is replaced, such as `torch.nn.Linear.reset_parameters`. It reads thousands of names,
so it runs per plugin, not in every guarded call."""


def functions_unchanged() -> contextlib.AbstractContextManager[list[str]]:
    """Puts replaced functions of shared modules back after the block; see `unchanged`."""
    return unchanged((PROBE,))
