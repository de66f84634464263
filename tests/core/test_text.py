import pytest

from zoo_core.text import printable


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain text", "plain text"),
        ("two\nlines\r\n\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("\x1b]0;title\x07rest", "]0;title rest"),
        ("\x9b31m and \x7f", "31m and"),
        ("safe\u202etxt.exe", "safe txt.exe"),
        ("half \ud800 pair", "half pair"),
        ("line\u2028and paragraph\u2029ends", "line and paragraph ends"),
        ("Größe 行動", "Größe 行動"),
        ("\n\x00", ""),
    ],
)
def test_what_a_terminal_obeys_becomes_a_space(text, line):
    assert printable(text) == line


def test_a_long_text_is_cut_to_the_limit():
    assert printable("x" * 50, 50) == "x" * 50
    assert printable("x" * 51, 50) == "x" * 47 + "..."
    assert printable("a\n" * 100, 9) == "a a a ..."
