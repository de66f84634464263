"""The board for LaTeX with booktabs."""

from __future__ import annotations

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
    """A `table*` with a `tabular` per section; needs `\\usepackage{booktabs}`."""
    shown = sections(board)
    lines = [r"% \usepackage{booktabs}", r"\begin{table*}", r"\centering"]
    for place, (title, cells) in enumerate(shown.tables):
        if place:
            lines += [r"\par\medskip", rf"{_escaped(title)}\par\smallskip"]
        lines += _tabular(cells)
    lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize"]
    lines += [rf"{_escaped(text)}\par" for text in [*shown.heading, *shown.below]]
    return "\n".join([*lines, r"\end{minipage}", r"\end{table*}", ""])


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
    return "".join(_ESCAPES.get(character, character) for character in " ".join(text.split()))
