"""Calls of code from plugins that leave the process as it was.

`guarded` runs such a call with a time limit, sends its output to stderr, and restores the settings
of the whole process afterwards. It reports any exception and the settings that were changed.
`functions_unchanged` restores functions of torch, numpy and the core. `numbers_unchanged` is for
calls that may change everything else.

None of them can undo or detect functions of other libraries that a plugin replaces, threads that it
leaves running, or code in C that crashes or never returns to Python. The settings belong to the
whole process, so changes by another thread during a call are undone too.
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
