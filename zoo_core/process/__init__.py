"""Calls of code from plugins that leave the process as it was.

`guarded` runs such a call: with a time limit, with what it prints sent to stderr, and with the
settings of the whole process put back afterwards. It reports an exception of any kind, and what was
changed. `functions_unchanged` puts back functions of torch, numpy and the core, and
`numbers_unchanged` is for calls that may change all else. What they can't undo or see:
functions of other libraries that a plugin replaces, threads that it leaves running, and code in C
that crashes or never returns to Python. The settings are the whole process's, so that what another
thread changes during a call is undone too.
"""

from zoo_core.process.call import Outcome, answer, guarded
from zoo_core.process.limit import TimeUp, seconds_allowed
from zoo_core.process.namespaces import functions_unchanged
from zoo_core.process.numerics import numbers_unchanged

__all__ = [
    "Outcome",
    "TimeUp",
    "answer",
    "functions_unchanged",
    "guarded",
    "numbers_unchanged",
    "seconds_allowed",
]
