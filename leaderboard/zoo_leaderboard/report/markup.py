"""How tables write: rounded scores, footnotes, and Markdown with everything shown escaped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from zoo_core.text import printable
from zoo_leaderboard.stats import mean, standard_deviation


@dataclass(frozen=True)
class Text:
    """An unescaped text of a cell."""

    text: str
    bold: bool = False


@dataclass
class Notes:
    """Footnotes, each text once."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """The mark of a text, such as `[1]`."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    def lines(self) -> list[str]:
        """The footnotes with their marks."""
        return [f"[{i}] {text}" for i, text in enumerate(self.texts, 1)]


def short(value: float) -> str:
    """A score with one decimal; never `-0.0`."""
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text


def plus_minus(value: float, deviation: float | None) -> str:
    """`mean ± std`, or the mean alone."""
    return short(value) if deviation is None else f"{short(value)} ± {short(deviation)}"


def spread(values: list[float]) -> str:
    """`mean ± std`, or the one value."""
    return plus_minus(mean(values), standard_deviation(values) if len(values) > 1 else None)


def thousands(steps: int) -> str:
    """A number of steps, such as `20k` or `1M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if steps >= size:
            return f"{steps / size:g}{unit}"
    return str(steps)


def escaped(text: str) -> str:
    """A text as it is, for GitHub's Markdown; in one line."""
    text = printable(text)
    for character in "\\|*_`<>[]~&$":
        text = text.replace(character, "\\" + character)
    return text


def lines_of(texts: Sequence[str], before: str = "") -> str:
    """Escaped texts as lines of one Markdown paragraph."""
    return "\n".join(f"{before}{escaped(text)}  " for text in texts)


def grid(cells: Sequence[Sequence[str | Text]], left: Collection[int] = (0,)) -> str:
    """A Markdown table, its columns aligned so that the source reads well too.

    Args:
        cells: Lines of unescaped texts, the header first, all of one length.
        left: The columns that are aligned to the left; the others are numbers.
    """
    escapes = [[_marked(cell) for cell in line] for line in cells]
    widths = [max(map(len, column)) for column in zip(*escapes, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = [
            text.ljust(width) if i in left else text.rjust(width)
            for i, (text, width) in enumerate(zip(texts, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * w if i in left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(escapes[0]), line(rule), *map(line, escapes[1:])])


def _marked(cell: str | Text) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    return f"**{escaped(cell.text)}**" if cell.bold else escaped(cell.text)
