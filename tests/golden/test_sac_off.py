"""`sac_off` and SAC's losses against the SAC of CQL's official repository; see README.md."""

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

NUMBERS = golden("sac_off")


def draws(u, term):
    role = "critic/next/noise" if term == "soft_td" else "actor/noise"
    return Draws([formula.normal(f"{u}/{role}", (1, ROWS, ACTIONS))])


def objective(agent, update, *terms):
    return loss(agent, update, {term: draws("fixed", term) for term in terms})


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_losses_and_gradients(key):
    theirs = NUMBERS["losses"][key]
    agent = agent_of("sac_off", f"learn_temperature={key == 'learnt'}".lower())
    if key == "fixed":
        agent.part("temperature").log_value.data.zero_()  # the official code has 1 there
    total, metrics = objective(agent, "actor_critic", "soft_td", "sac_actor")
    critic = theirs["losses"]["q1"] + theirs["losses"]["q2"]
    close(metrics["actor_critic/soft_td"], critic)
    close(metrics["actor_critic/sac_actor"], theirs["losses"]["actor"])
    found = {"critic": gradients(total, agent, "critic")}
    total, _ = objective(agent, "actor_critic", "soft_td", "sac_actor")
    found["actor"] = gradients(total, agent, "sampler")
    if key == "learnt":
        dual, _ = objective(agent, "temperature", "temperature")
        close(dual.detach(), theirs["losses"]["temperature"])
        found["temperature"] = gradients(dual, agent, "temperature")
    assert set(found) == set(theirs["gradient_norms"])
    for part, gradient in found.items():
        close(norm(list(gradient.values())), theirs["gradient_norms"][part])
        same_prints(gradient, theirs["gradients"][part])


@pytest.mark.parametrize("engine", ["solo", "vmap"])
def test_five_updates(engine):
    theirs = NUMBERS["updates"]["learnt"]
    recipe = resolve(
        "sac_off",
        [
            "steps=5",
            f"batch_size={ROWS}",
            # Too large to clip: it makes the core report the norms.
            "train.actor_critic.optimizer.critic.max_grad_norm=1e9",
            "train.actor_critic.optimizer.sampler.max_grad_norm=1e9",
        ],
    )
    trainer = scripted(recipe, engine, "copy", lambda i, term: draws(f"update{i}", term))
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        numbers, norms = expected["losses"], expected["gradient_norms"]
        close(metrics["actor_critic/soft_td"], numbers["q1"] + numbers["q2"])
        close(metrics["actor_critic/sac_actor"], numbers["actor"])
        close(metrics["temperature/temperature"], numbers["temperature"])
        close(metrics["actor_critic/critic_grad_norm"], norms["critic"])
        close(metrics["actor_critic/sampler_grad_norm"], norms["actor"])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])
    close(agent.act(batch(0).observations, Draws()), theirs["actions_after"])


def test_the_policy_from_the_same_noise():
    theirs, own = NUMBERS["policy"], batch(0)
    sampler = agent_of("sac_off").part("sampler")
    noise = Draws([formula.normal("sample", (1, ROWS, ACTIONS))])
    actions, log_prob = sampler.sample_log_prob(own.observations, noise)
    close(actions[0].detach(), theirs["actions"])
    close(log_prob[0].detach(), theirs["log_prob"])
    close(sampler.log_prob(own.observations, own.actions).detach(), theirs["log_prob_of_data"])
    close(sampler.mode(own.observations).detach(), theirs["mode"])
