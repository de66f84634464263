"""A progress bar for datasets of very many episodes."""

from __future__ import annotations

import sys
from collections.abc import Iterable

LONG = 5_000
"""Items from which a bar is shown."""


def tracked(items: range, label: str) -> Iterable[int]:
    """The items, with a bar on standard error if they are many and it is a terminal."""
    if len(items) < LONG or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, label, console=Console(stderr=True), transient=True)
