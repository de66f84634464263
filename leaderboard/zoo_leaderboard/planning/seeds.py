"""Seeds as text, such as `0-4`."""

from __future__ import annotations

import re

from zoo_core.errors import ZooError


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds such as `3`, `0-4` or `0,2,5-7`, in order, each once.

    Raises:
        ZooError: text of another form.
    """
    seeds: list[int] = []
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", item)
        if match is None:
            raise ZooError(f"seeds '{text}' are not of a form such as 3, 0-4 or 0,2,5-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ZooError(f"seeds '{text}': {first}-{last} runs backwards")
        if last - first > 100_000 or last >= 2**31:
            raise ZooError(f"seeds '{text}': too many or too large")
        seeds += range(first, last + 1)
    return tuple(dict.fromkeys(seeds))
