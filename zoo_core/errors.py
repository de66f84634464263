"""The errors that a user can mend; each message is one line that says what to do."""

import difflib
from collections.abc import Iterable


class ZooError(Exception):
    """A mistake in what was asked for. The command line prints its one line and exits with 2."""


class ZooWarning(UserWarning):
    """Something the user should know; the command line prints its one line and continues."""


class UnknownName(ZooError):
    """A name that nothing registered has; the message offers the nearest ones.

    Attributes:
        kind: What the name should name, such as `algorithm`.
        name: The unknown name.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        choices = sorted(known)
        # A setting is often called by the last word of its path alone.
        near = [choice for choice in choices if choice.rpartition(".")[2] == name][:3]
        near = near or difflib.get_close_matches(name, choices, n=3, cutoff=0.6)
        if near:
            advice = "did you mean " + " or ".join(repr(n) for n in near) + "?"
        elif choices:
            advice = "known: " + ", ".join(choices[:12]) + (", ..." if len(choices) > 12 else "")
        else:
            advice = f"no {kind} is installed"
        super().__init__(f"unknown {kind} '{name}'; {advice}" + (f" {hint}" if hint else ""))


class Diverged(ZooError):
    """A loss or a parameter is no longer finite; names the update, the step and the term."""


class BrokenPlugin(ZooError):
    """A plugin's own function raises, or returns what it should not."""


class Incompatible(ZooError):
    """Parts and losses that cannot work together, found before any data loads."""


class BadCheckpoint(ZooError):
    """A checkpoint file that is damaged or belongs to something else."""


class Unwritable(ZooError):
    """A file that cannot be written: a full disk, a read-only one, or one that is gone."""
