"""Calls of code from plugins that leave the process as it was.

`guarded` runs such a call: with a time limit, with what it prints sent to stderr, and with the
settings of the whole process put back afterwards. It reports an exception of any kind, and what was
changed; `numbers_unchanged` is for calls that may change the rest. What they can't undo or see:
functions of other modules that a plugin replaces, threads that it leaves running, and code in C
that crashes or never returns to Python. The settings are the whole process's, so that what another
thread changes during a call is undone too.
"""

from zoo_core.process.call import Outcome, answer, guarded
from zoo_core.process.limit import TimeUp, seconds_allowed
from zoo_core.process.numerics import numbers_unchanged

__all__ = ["Outcome", "TimeUp", "answer", "guarded", "numbers_unchanged", "seconds_allowed"]
