"""Output of commands; all of it goes through here, so that no name or text can steer a terminal."""

from __future__ import annotations

import click

from zoo_core.text import printable, printable_lines

LONGEST_MESSAGE = 1000
"""Characters of one message; the middle of a longer one is left out."""


def print_text(text: str, *, newline: bool = True) -> None:
    """Print a text of several lines.

    Args:
        text: Any text; what a terminal would obey is shown as an escape.
        newline: Whether a line break follows.
    """
    click.echo(printable_lines(text), nl=newline)


def print_line(line: str, *, err: bool = False) -> None:
    """Print one line; its runs of spaces stay.

    Args:
        line: Any text; line breaks become spaces, what a terminal would obey becomes an escape.
        err: Whether to print to standard error instead.
    """
    click.echo(printable_lines(line).replace("\n", " "), err=err)


def warn(message: str) -> None:
    """Print a message as one line `zoo: ...` to standard error."""
    print_line(f"zoo: {printable(message, LONGEST_MESSAGE)}", err=True)
