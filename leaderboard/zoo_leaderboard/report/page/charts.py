"""Line charts of scores as numbers that a template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zoo_leaderboard.report.markup import thousands
from zoo_leaderboard.report.page.texts import decimal
from zoo_leaderboard.stats import mean

Curve = Sequence[tuple[int, float]]
"""(step, score) of every evaluation."""
Kind = Literal["run", "stale", "mean"]

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 34
PERFECT = 100.0
"""The reference maximum of a normalised score."""


@dataclass(frozen=True)
class Line:
    """One curve in the chart's coordinates."""

    points: str
    """Of an SVG polyline."""
    dots: str
    """Of an SVG path with a stroke of no length at each point."""
    kind: Kind


@dataclass(frozen=True)
class Chart:
    """Score against training steps."""

    description: str
    """What a reader who does not see it should know."""
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    """Places with their labels."""
    grid: str
    """The lines of the ticks of y, as an SVG path."""
    perfect: float | None
    """The height of the reference maximum, where it is in sight."""
    y_label: str


def chart(curves: Sequence[tuple[Kind, Curve]], *, normalised: bool, name: str) -> Chart | None:
    """A chart of curves; none where they have no point.

    Args:
        curves: In the order in which they are drawn.
        normalised: Whether scores are normalised, else they are returns.
        name: What the curves are of, for the description.
    """
    points = [point for _, curve in curves for point in curve]
    if not points:
        return None
    steps, scores = [step for step, _ in points], [score for _, score in points]
    x_ticks = _ticks(0.0, float(max(steps)), 5)
    y_ticks = _ticks(min(0.0, *scores) if normalised else min(scores), max(scores), 5)
    x_scale = _scale(0.0, max(x_ticks[-1], max(steps)), LEFT, WIDTH - RIGHT)
    y_scale = _scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    lines = [
        _line(kind, [(x_scale(step), y_scale(score)) for step, score in curve])
        for kind, curve in curves
    ]
    seen = normalised and y_ticks[0] <= PERFECT <= y_ticks[-1]
    return Chart(
        description=_description(name, [curve for _, curve in curves], normalised),
        lines=lines,
        x_ticks=[(x_scale(tick), thousands(round(tick))) for tick in x_ticks],
        y_ticks=[(y_scale(tick), _tick_text(tick, y_ticks)) for tick in y_ticks],
        grid="".join(f"M{LEFT} {y_scale(tick):g}H{WIDTH - RIGHT}" for tick in y_ticks),
        perfect=y_scale(PERFECT) if seen else None,
        y_label="score" if normalised else "return",
    )


def mean_curve(curves: Sequence[Curve]) -> list[tuple[int, float]]:
    """The mean score at the steps that every curve has."""
    if not curves:
        return []
    tables = [dict(curve) for curve in curves]
    shared = [step for step, _ in curves[0] if all(step in table for table in tables)]
    return [(step, mean([table[step] for table in tables])) for step in shared]


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from below `low` to above `high`, about `count` of them."""
    if high <= low:
        high = low + max(1.0, abs(low))
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * number for number in range(first, last + 1)]


class _scale:
    """A linear map, rounded to a tenth of a pixel."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.start = low, start
        self.factor = (end - start) / (high - low)

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) * self.factor, 1)


def _line(kind: Kind, places: Sequence[tuple[float, float]]) -> Line:
    points = " ".join(f"{x:g},{y:g}" for x, y in places)
    return Line(points, "".join(f"M{x:g} {y:g}h0" for x, y in places), kind)


def _tick_text(tick: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = next((d for d in range(6) if abs(round(step, d) - step) < 1e-9 * abs(step)), 6)
    return decimal(tick, digits)


def _description(name: str, curves: Sequence[Curve], normalised: bool) -> str:
    ends = [curve[-1] for curve in curves if curve]
    starts = [curve[0] for curve in curves if curve]
    unit = "score" if normalised else "return"
    return (
        f"{unit} of {name} against training steps: "
        f"{_range([score for _, score in starts])} at step {starts[0][0]:,}, "
        f"{_range([score for _, score in ends])} at step {ends[0][0]:,}"
    )


def _range(values: Sequence[float]) -> str:
    low, high = decimal(min(values)), decimal(max(values))
    return low if low == high else f"{low} to {high}"
