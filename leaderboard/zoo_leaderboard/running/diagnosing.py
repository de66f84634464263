"""Diagnostics of a run under way, of which nothing may stop it."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import torch

from zoo_core import Agent, GeneratorNoise, OfflineData
from zoo_core.diagnostics import Diagnosis, diagnose
from zoo_core.noise import stream_seed
from zoo_leaderboard.result import Diagnosed


def diagnosed(step: int, act: str, look: Callable[[], Diagnosis]) -> Diagnosed:
    """The record of a diagnosis; what it raises becomes the alarm and goes to the log."""
    try:
        return Diagnosed(step=step, act=act, **look()._asdict())
    except Exception as error:
        traceback.print_exc()
        detail = str(error).strip().split("\n")[0]
        reason = f"the diagnosis failed: {type(error).__name__}: {detail}"
        return Diagnosed(step=step, act=act, alarm=reason[:500])


def of_agent(agent: Agent, data: OfflineData, act: str, step: int, device: str) -> Diagnosed:
    """An agent's diagnosis, with a separate random generator so that no other draw is shifted."""
    generator = torch.Generator(device)
    generator.manual_seed(stream_seed(agent.seed, "diagnostics", step))
    agent.eval()
    return diagnosed(step, act, lambda: diagnose(agent, data, GeneratorNoise(generator), act))
