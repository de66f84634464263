"""A call of a plugin's code that can neither end the process nor leave it changed."""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

from zoo_core.errors import BrokenPlugin
from zoo_core.process import interpreter, numerics
from zoo_core.process.limit import VARIABLE, TimeUp, Watch, called, in_thread, seconds_allowed
from zoo_core.process.output import output_to_stderr
from zoo_core.process.state import unchanged

T = TypeVar("T")

PROBES = numerics.PROBES + interpreter.PROBES
EXITS = ("_exit", "abort", "execv", "execve")
"""Functions of `os` that end the program without an exception."""

_inside = contextvars.ContextVar("inside a guarded call", default=False)
_lock = threading.Lock()
"""Held by a guarded call, since what it restores is the whole process's."""


def _fresh_lock() -> None:
    """The lock of a forked child, in which the thread that held it does not exist."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_lock)


class ProcessExit(BaseException):
    """A plugin asked the operating system to end or replace the process."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """Result of a guarded call."""

    value: T | None = None
    error: BaseException | None = None
    """Exception that the call raised, including `TimeUp`, `SystemExit` and the like."""
    changes: tuple[str, ...] = ()
    """Descriptions of the process settings that the call changed; each is restored, unless its
    description says that it can't be undone."""

    def result(self) -> T:
        """The call's value.

        Raises:
            BaseException: what the call raised.
        """
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def guarded(call: Callable[[], T], seconds: float | None = None) -> Outcome[T]:
    """Runs a plugin's code; afterwards the process's settings are what they were.

    In the main thread a signal ends a call that takes too long. In others the call runs in a
    separate thread, which is then abandoned. What the call prints goes to stderr. A guarded call
    inside another is a plain call, which the outer one guards.

    Args:
        call: Function without arguments.
        seconds: Time limit. If None, there is no limit.

    Raises:
        KeyboardInterrupt: the user's, or any other exception that the host's signal handlers raise.
    """
    if _inside.get():
        return _outcome(call, (TimeUp, KeyboardInterrupt))
    watch = Watch(seconds) if Watch.possible(seconds) else None
    token = _inside.set(True)
    try:
        with (
            _lock,
            _exits_raise(),
            output_to_stderr() as streams,
            watch or contextlib.nullcontext(),
            unchanged(PROBES) as settings,
        ):
            if watch is not None or seconds is None:
                outcome = _outcome(call)
            else:
                outcome = _outcome(partial(in_thread, call, seconds))
    finally:
        _inside.reset(token)
    if watch is not None and watch.interrupt is not None:
        raise watch.interrupt
    return replace(outcome, changes=tuple(dict.fromkeys([*settings, *streams])))


def answer(call: Callable[[], T], who: str) -> T:
    """Calls what a plugin offers, guarded and within a plugin's time limit, and returns the value.

    Args:
        call: Function without arguments.
        who: Name of what is called, for messages, such as "algorithm 'bc'".

    Raises:
        BrokenPlugin: the call took too long, or tried to end the process.
        Exception: any other exception that the call raised.
    """
    seconds = seconds_allowed()
    error = (outcome := guarded(call, seconds)).error
    if isinstance(error, TimeUp):
        raise BrokenPlugin(f"{who} took longer than {seconds:g} s ({VARIABLE})") from None
    if error is not None and not isinstance(error, Exception):
        raise BrokenPlugin(f"{who} raised {type(error).__name__}: {error}") from error
    return outcome.result()


def _outcome(call: Callable[[], T], passed: tuple[type[BaseException], ...] = ()) -> Outcome[T]:
    try:
        return Outcome(called(call))
    except passed:
        raise
    except BaseException as error:
        return Outcome(error=error)


@contextlib.contextmanager
def _exits_raise() -> Iterator[None]:
    """Lets functions that end the process raise `ProcessExit` in the guarded call.

    Other threads and forked children call the functions themselves.
    """
    process = os.getpid()
    functions: dict[str, Callable[..., NoReturn]] = {name: getattr(os, name) for name in EXITS}

    def replaced(name: str) -> Callable[..., NoReturn]:
        def ends(*arguments: Any, **named: Any) -> NoReturn:
            if _inside.get() and os.getpid() == process:
                raise ProcessExit(f"os.{name}()")
            functions[name](*arguments, **named)

        return ends

    for name in EXITS:
        setattr(os, name, replaced(name))
    try:
        yield
    finally:
        for name, function in functions.items():
            setattr(os, name, function)
