"""What to install for a package that is missing, from the error that says so."""

import re

from zoo_core.text import printable

_HINT = re.compile(r"pip install (?:-\S+ )*(?:\"[^\"]+\"|'[^']+'|[^\s`'\",;]+)")
LONGEST = 120
"""Characters of an error's text."""


def missing_package(error: Exception) -> str:
    """The end of a message: what an ImportError lacks, and the `pip install` that it names itself,
    else that of the missing module."""
    text = printable(str(error), LONGEST)
    hint = _HINT.search(text)
    module = getattr(error, "name", None)
    if hint:
        return f"{text[: hint.start()].partition('. ')[0].rstrip(' `.;:(')}; {hint[0]}"
    if isinstance(error, ModuleNotFoundError) and module:
        return f"the package '{module.partition('.')[0]}' is not installed"
    return text
