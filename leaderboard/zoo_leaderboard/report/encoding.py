"""CSV and JSON of untrusted texts, which no program that reads them executes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo_core.text import printable

FORMULA = tuple("=+-@＝＋－＠")
"""First characters of a cell that spreadsheets take for a formula."""
_UNUSUAL = re.compile(r"[^\n -~]")


def csv_text(columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    """Lines as CSV with a header; a line may lack columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: csv_cell(value) for name, value in line.items()})
    return text.getvalue()


def csv_cell(value: Any) -> Any:
    """A value as a cell that no spreadsheet executes: text becomes one line, with `'` before a
    formula. Numbers stay numbers, negative ones too."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def json_text(content: Any) -> str:
    """JSON that reads well: letters of every language as they are, characters that terminals and
    browsers obey as escapes.

    Raises:
        ValueError: a number that JSON has no form for.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return _UNUSUAL.sub(_escape, text) + "\n"


def _escape(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]
