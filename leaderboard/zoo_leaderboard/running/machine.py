"""The machine that a run's times were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def machine(device: str) -> dict[str, str]:
    """Description of the machine on which a run's times are measured."""
    described = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "threads": str(torch.get_num_threads()),
        "device": device,
        "engine": "solo",
    }
    if device.startswith("cuda") and torch.cuda.is_available():
        described["accelerator"] = torch.cuda.get_device_name(device)
    return described


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
