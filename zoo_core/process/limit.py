"""Time limit of plugins, and interrupts by the user as opposed to the plugin."""

from __future__ import annotations

import contextvars
import ctypes
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from zoo_core.errors import ZooError

T = TypeVar("T")

VARIABLE = "ZOO_PLUGIN_SECONDS"
DEFAULT_SECONDS = 60.0
NUMBER = int(signal.SIGRTMAX) - 3 if hasattr(signal, "SIGRTMAX") else getattr(signal, "SIGUSR2", 0)
"""Signal of the time limit, used for nothing else."""
ALARMS = ("SIGALRM", "SIGVTALRM", "SIGPROF")
"""Signals of timers."""
INTERVAL = 0.25
"""Seconds between signals to a call that continues after its time limit."""
PATIENCE = 4
"""Signals after which a call is ended at lines drawn at random, to leave loops that catch every
exception."""
HASTE = 2e-3
"""Maximum time between signals once `PATIENCE` is exhausted, in seconds."""
CHANCE = 0.2
"""Probability that the call is ended at a given line."""
FAREWELL = 1.0
"""Seconds that a thread has to end after its time limit."""


class TimeUp(BaseException):
    """A guarded call took longer than it may; no `Exception`, which plugins often catch."""


def seconds_allowed() -> float | None:
    """Seconds that a plugin may take, from `ZOO_PLUGIN_SECONDS`. If None, there is no limit.

    Raises:
        ZooError: the variable is not a number of at least 0.
    """
    text = os.environ.get(VARIABLE, "").strip() or str(DEFAULT_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0.0:
        raise ZooError(f"{VARIABLE} must be a number of seconds, 0 for no limit (got '{text}')")
    return None if seconds in {0.0, math.inf} else seconds


class Watch:
    """Ends a block in the main thread by `TimeUp`, and notes what the host's handlers raise.

    A thread sends a signal used for nothing else, so that plugins can use alarms and timers.

    A `KeyboardInterrupt` that a plugin raises is the plugin's failure; one that the handler of
    Ctrl-C raises is the user's, and `interrupt` holds it even if the plugin caught it.

    Args:
        seconds: Time limit. If None, there is no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self.interrupt: BaseException | None = None
        self._seconds = math.inf if seconds is None else seconds
        self._over = threading.Event()
        self._sent = 0
        self._handlers: dict[int, Any] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        self._random = random.Random(0)
        self._thread = threading.Thread(target=self._send, daemon=True, name="zoo-time-limit")

    @staticmethod
    def possible(seconds: float | None) -> bool:
        """Whether signals reach this thread and the time limit's signal is unused."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if seconds is None:
            return True
        return (
            hasattr(signal, "pthread_kill")
            and signal.getsignal(NUMBER) is signal.SIG_DFL
            and NUMBER not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        )

    def __enter__(self) -> Self:
        self._end_at = time.monotonic() + self._seconds
        for number in signal.Signals:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = signal.signal(number, partial(self._noted, handler))
            elif number.name in ALARMS and handler is signal.SIG_DFL:
                # By default they end the process.
                self._handlers[number] = signal.signal(number, lambda number, frame: None)
        if self._seconds < math.inf:
            self._handlers[NUMBER] = signal.signal(NUMBER, self._end)
            own = {"signal": self._set_handler, "pthread_sigmask": self._set_mask}
            self._functions = {name: getattr(signal, name) for name in own}
            vars(signal).update(own)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        vars(signal).update(self._functions)
        if self._seconds < math.inf:
            self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _noted(self, handler: Callable[..., Any], number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            self.interrupt = error
            raise

    def _send(self) -> None:
        """Sends the signal, from a thread, until the block has ended."""
        main, wait = threading.main_thread().ident or 0, self._seconds
        while not self._over.wait(min(wait, threading.TIMEOUT_MAX)):
            signal.pthread_kill(main, NUMBER)
            wait = INTERVAL if self._sent < PATIENCE else self._random.uniform(0.0, HASTE)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """The signal's handler."""
        if time.monotonic() < self._end_at or not _inner(frame):
            return
        sys.settrace(None)
        self._sent += 1
        if self._sent > PATIENCE:
            sys.settrace(self._trace)
            for each in _inner(frame):
                each.f_trace = self._trace
        raise TimeUp

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        """Ends the call at a random line, which may be outside the code that catches exceptions."""
        if not _inner(frame):
            sys.settrace(None)
            return None
        if frame.f_code.co_filename == __file__:
            return None
        if self._random.random() < CHANCE:
            raise TimeUp
        return self._trace

    def _set_handler(self, number: int, handler: Any) -> Any:
        """`signal.signal`, but for the time limit's handler."""
        if number == NUMBER and not self._over.is_set():
            return self._end
        return self._functions["signal"](number, handler)

    def _set_mask(self, how: int, mask: Iterable[int]) -> set[int]:
        """`signal.pthread_sigmask`, but for the time limit's signal."""
        numbers = mask if self._over.is_set() else set(mask) - {NUMBER}
        mask_before: set[int] = self._functions["pthread_sigmask"](how, numbers)
        return mask_before


def called(call: Callable[[], T]) -> T:
    """The call's value; a `Watch` ends only code that runs within this function."""
    return call()


def _inner(frame: FrameType | None) -> list[FrameType]:
    """The frames of a guarded call, from this one outwards; empty outside such a call."""
    frames: list[FrameType] = []
    while frame is not None and frame.f_code is not called.__code__:
        frames.append(frame)
        frame = frame.f_back
    return frames if frame is not None else []


def in_thread(call: Callable[[], T], seconds: float) -> T:
    """The call's value, from a thread that is abandoned if it does not end.

    Raises:
        TimeUp: the call did not end in time.
        BaseException: what the call raised.
    """
    values: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            values.append(call())
        except BaseException as error:
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(body,), daemon=True, name="zoo-plugin")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        identity = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(TimeUp))
        thread.join(FAREWELL)
        raise TimeUp
    if errors:
        raise errors[0]
    return values[0]
