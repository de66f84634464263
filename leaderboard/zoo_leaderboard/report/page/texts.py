"""How the pages write numbers."""

from __future__ import annotations

from collections.abc import Iterable

MINUS = "\N{MINUS SIGN}"


def decimal(value: float | None, digits: int = 1) -> str:
    """A score: `12.3`, `−4.0`; never `-0.0`; a dash for none."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    return (text.lstrip("-") if float(text.replace(",", "")) == 0.0 else text).replace("-", MINUS)


def significant(value: float | None) -> str:
    """A metric with four significant digits."""
    return "–" if value is None else f"{value:.4g}".replace("-", MINUS)


def whole(value: float | None) -> str:
    """A count: `12,345`."""
    return "–" if value is None else f"{value:,.0f}"


def memory(count: float | None) -> str:
    """Bytes as `512 MB` or `1.5 GB`, in powers of ten."""
    if count is None:
        return "–"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def numbers(seeds: Iterable[int]) -> str:
    """Whole numbers as `zoo leaderboard run --seeds` takes them: `0-4,7`."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
