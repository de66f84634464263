"""Text from elsewhere on a terminal: shown, and never obeyed."""

import ast
from pathlib import Path

import click
import pytest

from zoo_core import cli
from zoo_core.errors import ZooError
from zoo_core.terminal import LONGEST_MESSAGE
from zoo_core.text import printable, printable_lines

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße, 数据, ✓ ± ²", "Grüße, 数据, ✓ ± ²"),
        ("a\nb\r\nc\td  e", "a b c d e"),
        ("a\u2028b\u00a0c\x85d", "a b c d"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("\x9b31m red", "\\x9b31m red"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("a\u2066b\u200bc\ufeff", "a\\u2066b\\u200bc\\ufeff"),
        ("name\udcff.hdf5", "name\\udcff.hdf5"),
        ("\x00\x08\x7f", "\\x00\\x08\\x7f"),
        ("", ""),
    ],
)
def test_a_printable_text_is_one_line_without_control_characters(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown
    assert shown.isprintable()


def test_every_character_is_shown_or_escaped():
    everything = "".join(map(chr, range(0x110000)))
    assert printable(everything).isprintable()
    assert all(line.isprintable() for line in printable_lines(everything).split("\n"))


@pytest.mark.parametrize("length", [1, 50, 51, 1000])
def test_a_long_text_keeps_its_beginning_and_its_end(length):
    text = "begin " + "x" * length + " end"
    shown = printable(text, 60)
    assert len(shown) == min(len(text), 60)
    assert shown.startswith("begin")
    assert shown.endswith("end")


def test_lines_and_columns_stay_in_a_text_of_several_lines():
    assert printable_lines("a   b\n\n  c\x1b[1m\n") == "a   b\n\n  c\\x1b[1m\n"


HOSTILE = "x\x1b[31m\nzoo: all is well\u202e"


@pytest.mark.parametrize("error", [ZooError, click.UsageError])
def test_errors_of_the_command_are_one_printable_line(error, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise error(HOSTILE + "y" * 10_000)

    monkeypatch.setattr(cli.cli, "main", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main(["plugins"])
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.removesuffix("\n").isprintable()
    assert len(printed) < LONGEST_MESSAGE + 100


def test_an_unknown_name_with_terminal_escapes_is_shown_and_not_obeyed(capsys):
    with pytest.raises(SystemExit):
        cli.main(["show", HOSTILE])
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "\\x1b[31m" in printed


def test_commands_print_by_the_terminal_module_only():
    files = [ROOT / "zoo_core", ROOT / "leaderboard" / "zoo_leaderboard" / "commands"]
    if not files[1].is_dir():
        pytest.skip("needs the project's checkout")
    for file in (file for folder in files for file in folder.rglob("*.py")):
        if file == ROOT / "zoo_core" / "terminal.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"print", "click.echo", "click.secho"}, f"{file}: {called}"
