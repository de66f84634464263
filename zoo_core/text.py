"""Text from elsewhere, such as names, exceptions and paths, made safe to show in a terminal."""

from __future__ import annotations

CUT = " ... "


def printable(text: str, limit: int | None = None) -> str:
    """A text as one line that a terminal or browser only shows.

    White space becomes single spaces. Control characters (ESC and the C1 range too), characters
    that turn the direction of writing, invisible ones and undecodable bytes of file names are
    shown as escapes such as `\\x1b`.

    Args:
        text: Any text.
        limit: Maximum number of characters; a longer text loses its middle, since the end of a
            message often says what to do. If None, unlimited.
    """
    line = " ".join(_escaped(text).split())
    if limit is None or len(line) <= limit:
        return line
    tail = limit // 3
    return line[: limit - tail - len(CUT)] + CUT + line[len(line) - tail :]


def printable_lines(text: str) -> str:
    """`printable` for a text of several lines: line breaks and runs of spaces stay."""
    return "\n".join(map(_escaped, text.split("\n")))


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode()
