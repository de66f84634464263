"""Calls of code from plugins that leave the process as it was.

`guarded` runs such a call: with a time limit, with what it prints sent to stderr, and with the
settings of the whole process put back afterwards. It reports an exception of any kind, and what
was changed. What it can't undo or see: functions of other modules that a plugin replaces, threads
that a plugin leaves running, and code in C that crashes or never returns to Python.
"""

from zoo_core.process.call import Outcome, answer, guarded
from zoo_core.process.limit import TimeUp, seconds_allowed
from zoo_core.process.numerics import numbers_unchanged

__all__ = ["Outcome", "TimeUp", "answer", "guarded", "numbers_unchanged", "seconds_allowed"]
