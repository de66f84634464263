"""Advice on which package to install, derived from an import error."""

import importlib.util
import re

from zoo_core.text import printable

_HINT = re.compile(r"pip install (?:-\S+ )*(?:\"[^\"]+\"|'[^']+'|[^\s`'\",;]+)")
LONGEST = 120
"""Characters of an error's text."""


def missing_package(error: ImportError) -> str:
    """The end of a message: what an ImportError lacks, and the `pip install` that it names itself,
    else the missing package."""
    text = printable(str(error), LONGEST)
    if hint := _HINT.search(text):
        return f"{text[: hint.start()].partition('. ')[0].rstrip(' `.;:(')}; {hint[0]}"
    package = absent_package(error)
    return f"the package '{package}' is not installed" if package else text


def absent_package(error: ImportError) -> str | None:
    """The top-level package that an import did not find; None if the error names none, or a module
    that an installed package does not have."""
    package = (error.name or "").partition(".")[0]
    try:
        found = not package or importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        found = False
    absent = package.isidentifier() and not found and isinstance(error, ModuleNotFoundError)
    return package if absent else None
