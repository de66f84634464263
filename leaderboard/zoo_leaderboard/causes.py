"""Problems of many things that have one cause, said once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
NAMED = 3
"""Things that are named; of more there is the number."""


def by_cause(
    problems: Iterable[tuple[T, str]], names: Callable[[T], Iterable[str]]
) -> list[tuple[list[T], str]]:
    """Things with the same problem together, each group with the text of its first.

    Args:
        problems: Things, each with what is wrong with it.
        names: The parts of a problem's text that are different for each thing.
    """
    groups: dict[str, tuple[list[T], str]] = {}
    for thing, text in problems:
        cause = text
        for name in sorted(names(thing), key=len, reverse=True):
            cause = cause.replace(name, "\0")
        groups.setdefault(cause, ([], text))[0].append(thing)
    return list(groups.values())


def lines_of(problems: Iterable[T], names: Callable[[T], Iterable[str]]) -> list[str]:
    """A line for each cause: its first problem, and how many more there are like it.

    Args:
        problems: Whose text is a line.
        names: The parts of a problem's text that are different for each.
    """
    groups = by_cause(((problem, str(problem)) for problem in problems), names)
    return [
        text if len(alike) == 1 else f"{text} (and {len(alike) - 1} more like it)"
        for alike, text in groups
    ]


def named(things: Sequence[object]) -> str:
    """The first few things by name, and how many more there are."""
    text = ", ".join(map(str, things[:NAMED]))
    more = len(things) - NAMED
    return f"{text} and {more} more" if more > 0 else text
