"""The time that a plugin may take, and interrupts that are the user's and not the plugin's."""

from __future__ import annotations

import contextvars
import ctypes
import functools
import math
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from zoo_core.errors import ZooError

T = TypeVar("T")

VARIABLE = "ZOO_PLUGIN_SECONDS"
DEFAULT_SECONDS = 60.0
INTERVAL = 0.25
"""Seconds between alarms to a call that goes on after its time."""
PATIENCE = 4
"""Alarms after which they come at random moments, to leave loops that catch every exception."""
FAREWELL = 1.0
"""Seconds that a thread has to end after its time."""


class TimeUp(BaseException):
    """A guarded call took longer than it may; no `Exception`, which plugins often catch."""


def seconds_allowed() -> float | None:
    """Seconds that a plugin may take, from `ZOO_PLUGIN_SECONDS`; None for no limit.

    Raises:
        ZooError: the variable is no number of at least 0.
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

    A `KeyboardInterrupt` that a plugin raises is the plugin's failure; one that the handler of
    Ctrl-C raises is the user's, and `interrupt` holds it even if the plugin caught it.

    Args:
        seconds: Time limit; None for none.
    """

    def __init__(self, seconds: float | None) -> None:
        self.interrupt: BaseException | None = None
        self._seconds = seconds
        self._alarms = 0
        self._handlers: dict[int, Any] = {}
        self._random = random.Random(0)

    @staticmethod
    def possible(seconds: float | None) -> bool:
        """Whether signals reach this thread, and the alarm is free to be used."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if seconds is None:
            return True
        return hasattr(signal, "setitimer") and signal.getsignal(signal.SIGALRM) is not None

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        for number in signal.Signals:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, functools.partial(self._noted, handler))
        if self._seconds is not None:
            alarm = signal.signal(signal.SIGALRM, self._alarm)
            self._handlers.setdefault(signal.SIGALRM, alarm)
            self._timer = signal.setitimer(signal.ITIMER_REAL, self._seconds, INTERVAL)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._seconds is not None:
            left, interval = self._timer
            spent = time.monotonic() - self._began
            left = max(left - spent, 1e-3) if left > 0.0 else 0.0
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._seconds is not None and left > 0.0:
            signal.setitimer(signal.ITIMER_REAL, left, interval)

    def _noted(self, handler: Callable[..., Any], number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            self.interrupt = error
            raise

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        assert self._seconds is not None
        left = self._seconds - (time.monotonic() - self._began)
        if left > 1e-3:
            # An alarm that the plugin set.
            signal.setitimer(signal.ITIMER_REAL, left, INTERVAL)
            return
        self._alarms += 1
        if self._alarms > PATIENCE:
            signal.setitimer(signal.ITIMER_REAL, self._random.uniform(1e-6, 5e-5), INTERVAL)
        if _within(frame):
            raise TimeUp


def called(call: Callable[[], T]) -> T:
    """The call's value; what a `Watch` ends is only what happens in here."""
    return call()


def _within(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not called.__code__:
        frame = frame.f_back
    return frame is not None


def in_thread(call: Callable[[], T], seconds: float) -> T:
    """The call's value, from a thread that is left to itself if it does not end.

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
