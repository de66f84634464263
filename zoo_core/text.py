"""Text from outside, such as names and messages of plugins and files, made safe to print."""

from __future__ import annotations


def printable(text: str, limit: int | None = None) -> str:
    """A text in one line, without the characters that terminals and browsers obey.

    Control characters, line ends and characters that change the direction of writing become
    spaces, and runs of spaces one space.

    Args:
        text: Any text, which may hold half a surrogate pair.
        limit: Maximum number of characters; a longer text is cut and ends with `...`.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if limit is None or len(line) <= limit else line[: max(limit - 3, 0)] + "..."
