"""The board for LaTeX with booktabs and graphicx."""

from __future__ import annotations

from zoo_core.text import printable
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.report.markup import Text
from zoo_leaderboard.report.tables.sections import Grid, sections

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "[": "{[}",
    "]": "{]}",
}


def latex(board: Board) -> str:
    """A `table*` per section, as wide as the text at most; needs the packages booktabs and
    graphicx."""
    shown = sections(board)
    notes = [rf"{_escaped(text)}\par" for text in [*shown.heading, *shown.below]]
    lines = [r"% \usepackage{booktabs,graphicx}"]
    for place, (title, cells) in enumerate(shown.tables):
        caption = title or f"Track {board.track.name}."
        lines += [r"\begin{table*}", r"\centering", rf"\caption{{{_escaped(caption)}}}"]
        lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
        lines += [*_tabular(cells), "}"]
        if place == 0:
            lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize", *notes]
            lines += [r"\end{minipage}"]
        lines += [r"\end{table*}"]
    return "\n".join([*lines, ""])


def _tabular(cells: Grid) -> list[str]:
    header, *lines = cells
    columns = "".join("l" if cell.text == "algorithm" else "r" for cell in header)
    return [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(header),
        r"\midrule",
        *map(_line, lines),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _line(cells: list[Text]) -> str:
    texts = [rf"\textbf{{{_escaped(c.text)}}}" if c.bold else _escaped(c.text) for c in cells]
    return " & ".join(texts) + r" \\"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in printable(text))
