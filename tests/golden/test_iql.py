"""`iql`, its losses and its order of updates against the official code; see README.md."""

import pytest
import torch

from zoo_core import resolve

from . import formula
from .bridge import (
    ROWS,
    Draws,
    agent_of,
    batch,
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

NUMBERS = golden("iql")
TERMS = {"value": "expectile", "actor": "advantage_nll", "critic": "td"}
PARTS = {"value": "value", "actor": "sampler", "critic": "critic"}


def settings(theirs):
    return (
        f"expectile={theirs['expectile']}",
        f"beta={theirs['beta']}",
        f"sampler.dropout={theirs['dropout']}",
        f"tau={theirs.get('tau', 0.005)}",
        f"policy_decay={theirs.get('schedule', 'cosine') == 'cosine'}".lower(),
    )


def draws(u, term, theirs):
    """Dropout's masks after the two hidden layers, in the policy's loss alone."""
    if term != "advantage_nll" or theirs["dropout"] == 0.0:
        return Draws()
    return Draws([], [formula.uniform(f"{u}/actor/dropout/{k}", (ROWS, 256)) for k in range(2)])


@pytest.mark.parametrize("update", TERMS)
@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_losses_and_gradients(key, update):
    case = NUMBERS["losses"][key]
    theirs, agent = case[update], agent_of("iql", *settings(case["settings"]))
    term = TERMS[update]
    total, metrics = loss(agent, update, {term: draws("fixed", term, case["settings"])})
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, PARTS[update])
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])
    if update == "actor":
        close(metrics["actor/weight_mean"], sum(theirs["weights"]) / ROWS)
        assert (max(theirs["weights"]) == 100.0) == (key == "clipped")


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_networks(key):
    case, own = NUMBERS["losses"][key], batch(0)
    agent = agent_of("iql", *settings(case["settings"]))
    close(agent.part("target.critic").q(own.observations, own.actions).amin(0).detach(), case["q"])
    close(agent.part("value").v(own.observations).detach(), case["v"])
    sampler, theirs = agent.part("sampler"), case["policy"]
    close(sampler.mode(own.observations).detach(), theirs["mode"])
    ones = Draws([torch.ones(1, ROWS, 3, dtype=torch.float64)])
    sample = sampler.sample(own.observations, ones)[0] - sampler.mode(own.observations)
    close(sample.detach(), [theirs["std"]] * ROWS)
    # Without noise nothing is dropped out.
    close(-sampler.nll(own.observations, own.actions, None).detach(), theirs["log_prob"])


@engine_cases(NUMBERS["updates"])
def test_five_updates(key, engine):
    theirs = NUMBERS["updates"][key]
    given = theirs["settings"]
    # Too large to clip: it makes the core report the norms.
    reports = [f"train.{u}.optimizer.{p}.max_grad_norm=1e9" for u, p in PARTS.items()]
    recipe = resolve("iql", ["steps=5", f"batch_size={ROWS}", *settings(given), *reports])
    trainer = scripted(
        recipe, engine, theirs["targets"], lambda i, term: draws(f"update{i}", term, given)
    )
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        for update, term in TERMS.items():
            close(metrics[f"{update}/{term}"], expected["losses"][update])
            gradient = metrics[f"{update}/{PARTS[update]}_grad_norm"]
            close(gradient, expected["gradient_norms"][update])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])
    close(agent.act(batch(0).observations, Draws()), theirs["actions_after"])
