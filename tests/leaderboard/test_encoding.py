"""CSV and JSON of hostile texts: a spreadsheet, a terminal and a parser see data."""

import csv
import io
import json

import pytest
from synthetic import synthetic

from zoo_leaderboard.board.loading import load
from zoo_leaderboard.report.encoding import csv_cell, csv_text, json_text
from zoo_leaderboard.report.page.downloads import downloads_of
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

FORMULAS = [
    '=HYPERLINK("http://evil","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\x00=1+1",
    "＝1+1",
    "-",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula_or_a_second_line(text):
    cell = csv_cell(text)
    assert cell[0] not in "=+-@＝"
    assert cell.isprintable()
    (line,) = csv.DictReader(io.StringIO(csv_text(["a", "b"], [{"a": text, "b": 1}])))
    assert line == {"a": cell, "b": "1"}


@pytest.mark.parametrize("value", [-3.2, 0, 1e-300, None, True, "-3.2", "+1e5", "-0", "plain", ""])
def test_numbers_and_plain_texts_stay_as_they_are(value):
    assert csv_cell(value) == value


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b31m", "\u202e", "\u2028", "\udcff", "\U000e0001", "ü 数 ✓", "\x7f"]
)
def test_json_is_the_same_data_without_what_a_terminal_obeys(text):
    content = {text: [text, 1.5, None]}
    written = json_text(content)
    assert json.loads(written) == content
    assert all(c.isprintable() or c == "\n" for c in written)
    assert ("ü" in text) == ("ü" in written)
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("nan"))


@pytest.mark.parametrize("text", FORMULAS)
def test_names_reasons_and_settings_of_a_board_are_no_formulas(tmp_path, text):
    store = Store(tmp_path / "runs")
    store.put(synthetic(text, "a-v0", 0, (0.0, -50.0), settings={"x": text}))
    store.put(synthetic("bc", "a-v0", 0, failure=text))
    board = load(store, Track(name="demo", summary="", datasets=["a-v0"]), check=False)
    files = [one.make() for one in downloads_of(board, compared=False) if one.path.endswith("csv")]
    for written in (board.table("csv"), board.published("csv"), *files):
        lines = list(csv.reader(io.StringIO(written)))
        assert len(lines) > 1
        for cell in (cell for line in lines for cell in line):
            assert cell[:1] not in {"=", "+", "@", "\t", "\r"}
            assert cell[:1] != "-" or float(cell) < 0
    assert "-50.0" in board.table("csv")
