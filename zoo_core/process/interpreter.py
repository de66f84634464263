"""Settings of Python and of the operating system that decide what other code does."""

from __future__ import annotations

import builtins
import faulthandler
import gc
import locale
import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from typing import Any

from zoo_core.process.state import Probe, attribute

OF_LIBRARIES = {
    "CUDA_MODULE_LOADING",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
}
"""Variables that libraries set for themselves when they are imported."""


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OF_LIBRARIES}


def _restore_environment(variables: Mapping[str, str]) -> None:
    for name in _environment().keys() - variables.keys():
        del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    if hasattr(time, "tzset"):
        time.tzset()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _signal_handlers() -> dict[str, Any]:
    return {number.name: signal.getsignal(number) for number in signal.Signals}


def _restore_signal_handlers(handlers: Mapping[str, Any]) -> None:
    for name, handler in handlers.items():
        number = signal.Signals[name]
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


_CLOCKS = {
    "ITIMER_REAL": time.monotonic,
    "ITIMER_VIRTUAL": lambda: os.times().user,
    "ITIMER_PROF": time.process_time,
}
"""Timers and their clocks."""
_TOLERANCE = 0.05
"""Seconds by which the clocks may differ from the timers."""

Timers = dict[str, tuple[float, float]]


def _timers() -> Timers:
    """Each timer's next expiry by its clock (infinite if never) and its interval, in seconds."""
    timers = {}
    for name, clock in _CLOCKS.items():
        left, interval = signal.getitimer(getattr(signal, name))
        timers[name] = (clock() + left if left > 0.0 else math.inf, interval)
    return timers


def _same_timers(before: Timers, after: Timers) -> bool:
    """Whether no timer was set or stopped; a one-shot timer may have expired."""

    def same(name: str) -> bool:
        (rings, interval), (later, other) = before[name], after[name]
        if interval or other:
            return interval == other
        rang = rings <= _CLOCKS[name]()
        return rings == later or (later == math.inf if rang else abs(rings - later) < _TOLERANCE)

    return all(map(same, before))


def _restore_timers(timers: Timers) -> None:
    for name, (rings, interval) in timers.items():
        left = max(rings - _CLOCKS[name](), 1e-3) if rings < math.inf else 0.0
        signal.setitimer(getattr(signal, name), left, interval)


def _restored_path(before: list[str], after: list[str]) -> list[str]:
    """The former search path, with added folders last, so that they hide no other module."""
    return before + [folder for folder in after if folder not in before]


def _restored_filters(before: list[Any], after: list[Any]) -> list[Any]:
    """The former filters, after new ones that concern only some warnings."""

    def sweeping(filtered: Any) -> bool:
        action, message, category, module, _ = filtered
        return action == "error" or (message is module is None and category is Warning)

    return [f for f in after if f not in before and not sweeping(f)] + before


def _restore_filters(filters: list[Any]) -> None:
    restored: Any = _restored_filters(filters, list(warnings.filters))
    warnings.filters[:] = restored  # type: ignore[index]
    with warnings.catch_warnings():
        """Leaving it makes the module forget which filter applied where."""


def _builtins() -> dict[str, Any]:
    """All builtins but `_`, which interactive sessions and translations set."""
    return {name: value for name, value in vars(builtins).items() if name != "_"}


def _same_builtins(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether no builtin is replaced or missing; new ones are harmless."""
    return all(after.get(name, after) is value for name, value in before.items())


def _restore_logging(was: tuple[int, int, list[logging.Handler]]) -> None:
    root = logging.getLogger()
    root.setLevel(was[0])
    logging.disable(was[1])
    root.handlers[:] = was[2]


def _start_method() -> str:
    chosen: str | None = multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]


def _restore_list(values: list[str], before: list[str]) -> None:
    values[:] = before


PROBES = (
    Probe("environment variables", _environment, _restore_environment),
    Probe("the working folder", os.getcwd, os.chdir),
    Probe("the umask", _umask, os.umask),
    Probe("signal handlers", _signal_handlers, _restore_signal_handlers),
    Probe(
        "blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda mask: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
    ),
    Probe("timers", _timers, _restore_timers, _same_timers),
    Probe("CPU affinity", lambda: os.sched_getaffinity(0), lambda c: os.sched_setaffinity(0, c)),
    Probe("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Probe("the thread switch interval", sys.getswitchinterval, sys.setswitchinterval),
    Probe("the limit of digits", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    Probe("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    Probe("the collector's thresholds", gc.get_threshold, lambda t: gc.set_threshold(*t)),
    Probe(
        "faulthandler",
        faulthandler.is_enabled,
        lambda on: faulthandler.enable() if on else faulthandler.disable(),
    ),
    Probe("the trace function", sys.gettrace, sys.settrace),
    Probe("the profile function", sys.getprofile, sys.setprofile),
    Probe("sys.argv", lambda: list(sys.argv), lambda v: _restore_list(sys.argv, v)),
    Probe(
        "sys.path",
        lambda: list(sys.path),
        lambda before: _restore_list(sys.path, _restored_path(before, sys.path)),
        lambda before, after: _restored_path(before, after) == after,
    ),
    *map(
        attribute,
        (
            "sys.stdin",
            "sys.excepthook",
            "sys.unraisablehook",
            "sys.displayhook",
            "sys.breakpointhook",
            "sys.dont_write_bytecode",
            "sys.exit",
            "threading.excepthook",
            "warnings.showwarning",
        ),
    ),
    Probe(
        "warning filters",
        lambda: list(warnings.filters),
        _restore_filters,
        lambda before, after: _restored_filters(before, after) == after,
    ),
    Probe("builtins", _builtins, vars(builtins).update, _same_builtins),
    Probe(
        "the root logger",
        lambda: (
            logging.getLogger().level,
            logging.getLogger().manager.disable,
            list(logging.getLogger().handlers),
        ),
        _restore_logging,
    ),
    Probe(
        "the locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    Probe(
        "multiprocessing's start method",
        _start_method,
        lambda method: multiprocessing.set_start_method(method, force=True),
    ),
    Probe("the sockets' time limit", socket.getdefaulttimeout, socket.setdefaulttimeout),
    Probe("the threads' stack size", threading.stack_size, threading.stack_size),
)
"""Probes of the interpreter and the operating system."""
