"""Times between noise and action at which a solver calls the network."""

from collections.abc import Sequence

from zoo_core.diffusion.process import DiscreteProcess, Process, half_log_snr
from zoo_core.diffusion.solver import Spacing


def spaced(process: Process, spacing: Spacing, start: float, end: float, count: int) -> list[float]:
    """count + 1 times from start to end; `start` alone for a count of 0."""
    if count == 0:
        return [start]
    if spacing == "log_snr":
        a, b = half_log_snr(process, start), half_log_snr(process, end)
        middle = [process.time_at(a + (b - a) * i / count) for i in range(1, count)]
    else:
        power = 3.0 if spacing == "cubic" else 1.0
        a, b = start ** (1.0 / power), end ** (1.0 / power)
        middle = [(a + (b - a) * i / count) ** power for i in range(1, count)]
    return [start, *middle, end]


def whole(process: DiscreteProcess, times: Sequence[float]) -> list[float]:
    """Descending times, at most T, rounded to distinct whole steps of the process."""
    total, count = process.steps, len(times)
    steps: list[int] = []
    for i, t in enumerate(reversed(times)):
        nearest = max(round(t * total), steps[-1] + 1 if steps else 1)
        steps.append(min(nearest, total - (count - 1 - i)))
    return [step / total for step in reversed(steps)]
