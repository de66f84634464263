"""Events that jobs and the fork server send to the runner: one line of JSON each, on one pipe."""

import json
import os
from typing import Any

LONGEST_LINE = 4096
"""Linux's PIPE_BUF: longer writes could be torn."""


def write_event(handle: int, event: dict[str, Any]) -> None:
    """Writes one line atomically.

    Raises:
        ValueError: a line too long to be atomic.
    """
    line = json.dumps(event).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise ValueError(f"an event of {len(line)} bytes")
    os.write(handle, line)
