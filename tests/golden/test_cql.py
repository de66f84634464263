"""`cql` and its losses against the official code; see README.md."""

import pytest

from zoo_core import resolve

from . import formula
from .bridge import (
    ACTIONS,
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

NUMBERS = golden("cql")
N = NUMBERS["candidates"]


def draws(u, term, settings):
    """What a term draws in the official code's update `u`; both uses of the policy's action at the
    present observation share one draw there."""

    def normal(role, n=1):
        return formula.normal(f"{u}/{role}", (n, ROWS, ACTIONS))

    if term in {"temperature", "sac_actor", "entropy"}:
        return Draws([normal("actor/noise")])
    if term == "nll":
        return Draws()
    if term == "soft_td":
        return Draws([normal("critic/next/noise", N if settings["max_q_backup"] else 1)])
    uniform = formula.uniform(f"{u}/penalty/uniform", (N, ROWS, ACTIONS))
    return Draws([normal("penalty/current", N), normal("penalty/next", N)], [uniform])


def ours(settings):
    """The official settings in our words."""
    threshold = settings["lagrange_thresh"] if settings["with_lagrange"] else "none"
    return (
        f"min_q_weight={settings['min_q_weight']}",
        f"regularizer={'H' if settings['min_q_version'] == 3 else 'rho_code'}",
        f"softmax_temperature={settings['temp']}",
        f"lagrange_threshold={threshold}",
        f"deterministic_backup={settings['deterministic_backup']}".lower(),
        f"max_q_backup={settings['max_q_backup']}".lower(),
        f"learn_temperature={settings['use_automatic_entropy_tuning']}".lower(),
        f"policy_eval_start={settings['policy_eval_start']}",
        "steps=1000",
    )


def terms_of(agent, update):
    chosen = next(u for u in agent.recipe.stages[0].updates if u.name == update)
    return [term.name for term in chosen.losses]


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_losses_and_gradients(key):
    theirs = NUMBERS["losses"][key]
    settings, numbers = theirs["settings"], theirs["losses"]
    agent = agent_of("cql", *ours(settings))
    if not settings["use_automatic_entropy_tuning"]:
        agent.part("temperature").log_value.data.zero_()  # the official code has 1 there
    # Theirs takes log(1 - a^2 + 1e-6), which differs from log(1 - a^2) for actions near the bounds.
    tolerance = {"rtol": 1e-3} if key.endswith("epsilon") else {}

    def objective(update):
        terms = terms_of(agent, update)
        return loss(agent, update, {term: draws("fixed", term, settings) for term in terms})

    total, metrics = objective("actor_critic")
    # The multiplier's loss stands beside the critic's in ours; theirs is a loss of its own.
    expected = [numbers["q1"], numbers["q2"], numbers["actor"], numbers.get("multiplier", 0.0)]
    close(total.detach(), sum(expected), **tolerance)
    actor = [metrics.get(f"actor_critic/{t}", 0.0) for t in ("sac_actor", "entropy", "nll")]
    close(sum(actor), numbers["actor"], **tolerance)

    sides = {"critic": "critic", "actor": "sampler"}
    if settings["with_lagrange"]:
        sides["multiplier"] = "multiplier"
    found = {
        name: gradients(objective("actor_critic")[0], agent, path) for name, path in sides.items()
    }
    if settings["use_automatic_entropy_tuning"]:
        dual, _ = objective("temperature")
        close(dual.detach(), numbers["temperature"], **tolerance)
        found["temperature"] = gradients(dual, agent, "temperature")
    assert set(found) == set(theirs["gradient_norms"])
    for part, gradient in found.items():
        close(norm(list(gradient.values())), theirs["gradient_norms"][part], **tolerance)
        if not tolerance:
            same_prints(gradient, theirs["gradients"][part])


@engine_cases(NUMBERS["updates"])
def test_five_updates(key, engine):
    theirs = NUMBERS["updates"][key]
    settings = theirs["settings"]
    parts = ["critic", "sampler"] + ["multiplier"] * settings["with_lagrange"]
    stage = "clone" if settings["policy_eval_start"] else "train"
    recipe = resolve(
        "cql",
        [
            *ours(settings),
            f"batch_size={ROWS}",
            # Too large to clip: it makes the core report the norms.
            *(f"{stage}.actor_critic.optimizer.{part}.max_grad_norm=1e9" for part in parts),
        ],
    )
    trainer = scripted(recipe, engine, "copy", lambda i, t: draws(f"update{i}", t, settings))
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        for part in parts:
            name = part.replace("sampler", "actor")
            reported = metrics[f"actor_critic/{part}_grad_norm"]
            close(reported, expected["gradient_norms"][name])
        close(metrics["temperature/temperature"], expected["losses"]["temperature"])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])
    close(agent.act(batch(0).observations, Draws()), theirs["actions_after"])
