"""DPM-Solver against its authors' code, on a model in closed form; see README.md."""

import pytest
import torch

from zoo_core.diffusion import (
    ContinuousProcess,
    DiscreteProcess,
    DpmSolver,
    Prediction,
    Solver,
)
from zoo_core.nn import betas

from . import formula
from .bridge import Draws, close, golden

NUMBERS = golden("dpm_solver")["samples"]


@pytest.mark.parametrize("key", list(NUMBERS))
def test_sample_from_the_same_noise(key):
    kind, order, method, expand, spacing, steps = key.split()
    process = ContinuousProcess() if kind == "continuous" else DiscreteProcess(betas("linear", 50))
    solver = DpmSolver(
        process,
        Solver(
            name="dpm_solver",
            order=int(order),
            method=method,
            expand=expand,
            spacing=spacing,
            steps=int(steps),
            halve_curvature=True,
        ),
    )
    assert len(solver.times) == int(steps)

    def network(x, k):
        # The official code shows a model t in (0, 1], for a process in steps too.
        return 0.5 * torch.sin(3 * x + solver.times[k]) + 0.2 * x

    prediction = Prediction(process, solver.times, network)
    actions = solver.solve(prediction, formula.normal("solver/x_T", (4, 3)), Draws())
    # The model amplifies rounding by as much as it amplifies the start.
    close(actions.norm(), NUMBERS[key]["norm"], rtol=1e-8)
    close(actions[0], NUMBERS[key]["first"], rtol=1e-8, atol=1e-8)
