"""The loss `nll` of a diffusion, and `diffusion_bc`, against the official code; see README.md."""

import pytest
import torch

from zoo_core import resolve

from . import formula
from .bridge import (
    ROWS,
    Draws,
    agent_of,
    batch,
    chain,
    cloning,
    close,
    engine_cases,
    golden,
    gradients,
    loss,
    norm,
    same_norms,
    same_parts,
    same_prints,
    scripted,
    updates,
)

NUMBERS = golden("diffusion_bc")


def settings(case):
    predicts = {"eps": "noise", "x0": "x0"}[case["predicts"]]
    return (
        f"sampler.schedule={case['schedule']}",
        f"sampler.steps={case['steps']}",
        f"sampler.predict={predicts}",
    )


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_denoising_loss_and_its_gradient(key):
    theirs = NUMBERS["losses"][key]
    agent = agent_of("diffusion_bc", *settings(theirs))
    own, draws = batch(0), cloning("fixed")
    rows = agent.part("sampler").nll(own.observations, own.actions, draws)
    assert draws.spent
    close(rows, theirs["nll_mean_over_dims"])
    weights = 0.5 + formula.uniform("fixed/weights", (ROWS,))
    close((weights * rows).mean(), theirs["weighted_loss"])

    total, metrics = loss(agent, "actor", {"nll": cloning("fixed")})
    close(total.detach(), theirs["loss"])
    close(metrics["actor/nll"], theirs["loss"])
    gradient = gradients(total, agent, "sampler")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@engine_cases(NUMBERS["updates"])
def test_five_updates(key, engine):
    theirs = NUMBERS["updates"][key]
    recipe = resolve("diffusion_bc", [*settings(theirs), "steps=5", f"batch_size={ROWS}"])
    trainer = scripted(recipe, engine, "copy", lambda i, term: cloning(f"update{i}"))
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        close(metrics["actor/nll"], expected["bc_loss"])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])
    draws = Draws(chain("after", theirs["steps"]))
    close(agent.act(batch(0).observations, draws), theirs["actions_after"])
    assert draws.spent
    assert next(agent.parameters()).dtype == torch.float64
