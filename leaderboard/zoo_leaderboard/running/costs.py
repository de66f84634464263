"""Costs of a run other than time: parameters and memory."""

from __future__ import annotations

import resource
import sys

import torch

from zoo_core import Agent
from zoo_leaderboard.result import Record


class Costs(Record):
    """The costs of a run so far; the fields are those of `Result`."""

    parameters: int | None = None
    peak_memory: int | None = None
    peak_device_memory: int | None = None

    def with_peaks(self, device: str) -> Costs:
        """A copy that includes this process's peaks where they exceed those of earlier attempts."""
        device_peak = peak_device_memory(device)
        return Costs(
            parameters=self.parameters,
            peak_memory=max(self.peak_memory or 0, peak_memory()),
            peak_device_memory=max(self.peak_device_memory or 0, device_peak or 0) or None,
        )


def parameters_of(agent: Agent) -> int:
    """Parameters of all parts; their averages are copies and do not count."""
    return sum(parameter.numel() for parameter in agent.live.parameters())


def peak_memory() -> int:
    """The most bytes that this process held in memory at once since it began.

    A job's process is forked from one that has torch loaded, some 300 MB, which count.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def peak_device_memory(device: str) -> int | None:
    """Peak memory of tensors on a CUDA device, in bytes; None on the CPU."""
    if torch.device(device).type != "cuda":
        return None
    return torch.cuda.max_memory_allocated(device)
