"""Labels of rows in few characters that still tell the rows apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size

from zoo_core.text import printable
from zoo_leaderboard.board.rows import Row
from zoo_leaderboard.report.tables.sections import row_text

ELLIPSIS = "…"


def cut(text: str, width: int) -> str:
    """A text in one printable line, cut at its end."""
    text = printable(text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + ELLIPSIS


def cut_in_the_middle(text: str, width: int) -> str:
    """A text in one printable line, cut in its middle."""
    text = printable(text)
    if cell_len(text) <= width:
        return text
    end = (width - 1) // 2
    # Reversed, since `chop_cells` cuts from the start.
    tail = chop_cells(text[::-1], end)[0][::-1]
    return set_cell_size(text, width - 1 - end).rstrip() + ELLIPSIS + tail


def short_labels(rows: Sequence[Row], width: int) -> list[str]:
    """The rows' labels in at most `width` characters, cut where they stay distinct if they can.

    Labels that differ only in what a cut hides leave out the settings that the algorithm's rows
    share.
    """
    whole = [row_text(row) for row in rows]
    candidates: list[tuple[Callable[[str, int], str], list[str]]] = [
        (cut, whole),
        (cut_in_the_middle, whole),
        (cut, _differences(rows)),
        (cut_in_the_middle, _differences(rows)),
    ]
    labels = [[shorten(text, width) for text in texts] for shorten, texts in candidates]
    return max(labels, key=lambda texts: len(set(texts)))


def _differences(rows: Sequence[Row]) -> list[str]:
    """The labels without the settings that all rows of an algorithm share."""
    numbers = Counter(row.algorithm for row in rows)
    settings = Counter((row.algorithm, f"{p}={v}") for row in rows for p, v in row.settings.items())
    texts = []
    for row in rows:
        pairs = [f"{path}={value}" for path, value in sorted(row.settings.items())]
        own = [p for p in pairs if settings[row.algorithm, p] < numbers[row.algorithm]]
        notes = [] if row.variant == "default" else [row.variant]
        notes += [ELLIPSIS] * (len(own) < len(pairs)) + own
        texts.append(f"{row.algorithm} ({', '.join(notes)})" if notes else row.algorithm)
    return [t + " [external]" * row.external for t, row in zip(texts, rows, strict=True)]
