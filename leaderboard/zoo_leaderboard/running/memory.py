"""Memory of a job's processes, and formatting of sizes.

A limit of the address space (`RLIMIT_AS`) would not do: torch and CUDA reserve many times what they
use. So the runner looks at what is resident.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from zoo_core.errors import ZooError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DECIMAL = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str) -> int:
    """Bytes of a size such as `4GiB`, `4G` (the same), `500MB` or `1000000`.

    Raises:
        ZooError: text of another form, or no bytes at all.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)(B?)\s*", text.upper())
    if match is None or (match[3] and not match[2]):
        raise ZooError(f"'{text}' is no size; write it as 4GiB, 500MB or 1000000")
    units = _DECIMAL if match[4] and not match[3] else _UNITS
    size = int(float(match[1]) * units[match[2]])
    if size < 1:
        raise ZooError(f"'{text}' is no size; it must be at least one byte")
    return size


def size_text(size: int) -> str:
    """Bytes as `4 GiB` or `3.52 MiB`."""
    value, units = float(size), ["B", "KiB", "MiB", "GiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.3g} {units[0]}" if value < 1000 else f"{value:.0f} {units[0]}"


def memory_of_groups(groups: set[int], enough: int) -> dict[int, int]:
    """The bytes that process groups hold, each page that several processes share in parts.

    Args:
        groups: The groups' ids.
        enough: Below this many bytes a group's pages are counted once per process, which is quicker
            and never too little.
    """
    members: dict[int, list[Path]] = {group: [] for group in groups}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and (group := _group(place)) in members:
            members[group].append(place)
    held: dict[int, int] = {}
    for group, places in members.items():
        held[group] = sum(map(_resident, places))
        if held[group] > enough:
            held[group] = sum(map(_proportional, places))
    return held


def _group(place: Path) -> int:
    try:
        # The program's name stands in brackets and may hold any character.
        return int((place / "stat").read_text(errors="replace").rpartition(")")[2].split()[2])
    except (OSError, IndexError, ValueError):
        return -1


def _resident(place: Path) -> int:
    try:
        return int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(place: Path) -> int:
    """A process's memory, each shared page divided by those who share it; else all of it."""
    try:
        for line in (place / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError):
        pass
    return _resident(place)


def kernel_kills() -> int | None:
    """Number of processes that the kernel has ended for lack of memory since boot; None if it is
    unknown."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return None
