"""`qgpo`, its networks, losses, guided samples and order of updates against the official code; see
README.md."""

from dataclasses import replace

import pytest
import torch

from zoo_core import Context, resolve

from . import formula
from .bridge import (
    ACTIONS,
    ROWS,
    Draws,
    agent_of,
    batch,
    cloning,
    close,
    engine_cases,
    golden,
    gradients,
    loss,
    norm,
    parameters,
    same_norms,
    same_parts,
    same_prints,
    scripted,
    updates,
)

NUMBERS = golden("qgpo")
SUPPORT = NUMBERS["settings"]["support"]


def support(step, which):
    """Support actions [B, M, A] of a batch, `support` or `next_support`."""
    uniform = formula.uniform(f"batch/{step}/{which}", (SUPPORT, ROWS, ACTIONS))
    return (0.95 * (2 * uniform - 1)).transpose(0, 1)


def energy_draws(prefix, method="cep"):
    shape = (SUPPORT, ROWS, ACTIONS) if method == "cep" else (ROWS, ACTIONS)
    eps = formula.normal(f"{prefix}/energy/eps", shape)
    return Draws([eps], [formula.uniform(f"{prefix}/energy/t", (ROWS,))])


def value_of(agent, update, term, draws):
    """A loss of the stage `train` on batch 0 with its support."""
    columns, following = ({"support": support(0, w)} for w in ("support", "next_support"))
    own = replace(batch(0), columns=columns, next_columns=following)
    bound = agent.recipe.losses["train", update, term]
    value, _ = bound.spec.build(bound.config)(Context(agent, own, draws, {}))
    assert draws.spent
    return value


def test_networks():
    agent, theirs, own = agent_of("qgpo"), NUMBERS["network"], batch(0)
    sampler = agent.part("sampler")
    t = 1e-3 + (1 - 1e-3) * formula.uniform("network/t", (ROWS,))
    x = formula.normal("network/x_t", (ROWS, ACTIONS)).requires_grad_()
    close(sampler.prior.denoiser(own.observations, x, t).detach(), theirs["noise"])
    energy = sampler.energy(own.observations, x, t)
    close(energy.detach(), theirs["energy"])
    close(torch.autograd.grad(energy.sum(), x)[0], theirs["guidance"])
    close(agent.part("critic").q(own.observations, own.actions).detach(), theirs["q"])


def test_behaviour_loss():
    agent, theirs = agent_of("qgpo"), NUMBERS["behaviour"]
    total, _ = loss(agent, "behaviour", {"nll": cloning("fixed")})
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, "sampler.prior")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@pytest.mark.parametrize("key", list(NUMBERS["losses"]["critic"]))
def test_critic_loss(key):
    theirs = NUMBERS["losses"]["critic"][key]
    agent = agent_of("qgpo", f"q_beta={theirs['q_alpha']}")
    total = value_of(agent, "critic", "support_td", Draws())
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, "critic")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@pytest.mark.parametrize("key", list(NUMBERS["losses"]["energy"]))
def test_energy_loss(key):
    theirs = NUMBERS["losses"]["energy"][key]
    method = theirs["method"]
    agent = agent_of("qgpo", f"beta={theirs['alpha']}", f"method={method}")
    total = value_of(agent, "energy", "cep", energy_draws("fixed", method))
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, "sampler.energy")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@pytest.mark.parametrize("engine", ["solo", "vmap"])
def test_five_updates_of_the_behaviour(engine):
    theirs = NUMBERS["updates"]["behaviour"]
    # Too large to clip: it makes the core report the norms.
    clip = "clone.behaviour.optimizer.sampler.prior.max_grad_norm=1e9"
    recipe = resolve("qgpo", ["clone.steps=5", f"clone.batch.size={ROWS}", clip])
    recipe = replace(recipe, stages=recipe.stages[:1])
    trainer = scripted(recipe, engine, "copy", lambda i, _: cloning(f"update{i}"))
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        close(metrics["behaviour/nll"], expected["loss"])
        close(metrics["behaviour/sampler.prior_grad_norm"], expected["gradient_norm"])
        close(norm(list(agent.part("sampler.prior").parameters())), expected["norm"])
    same_prints(parameters(agent, "sampler.prior"), theirs["final"])


def prepared(agent, data, noise):
    """The support of all batches, at observations and successors of one-step episodes."""
    steps = (torch.stack([support(i, w) for w in ("support", "next_support")], 1) for i in range(6))
    return {"support": torch.cat([step.flatten(0, 1) for step in steps])}


@engine_cases(["both", "own_targets"])
def test_five_updates_of_critic_and_energy(key, engine):
    """The energy's labels are of the target that has just moved."""
    theirs = NUMBERS["updates"][key]
    recipe = resolve(
        "qgpo",
        [
            "train.steps=5",
            f"train.batch.size={ROWS}",
            "reward=none",
            "train.critic.optimizer.critic.max_grad_norm=1e9",
            "train.energy.optimizer.sampler.energy.max_grad_norm=1e9",
        ],
    )
    recipe = replace(recipe, stages=(replace(recipe.stages[1], prepare=prepared),))
    trainer = scripted(
        recipe,
        engine,
        theirs["targets"],
        lambda i, term: energy_draws(f"update{i}") if term == "cep" else Draws(),
    )
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        close(metrics["critic/support_td"], expected["critic_loss"])
        close(metrics["energy/cep"], expected["energy_loss"])
        norms = expected["gradient_norms"]
        close(metrics["critic/critic_grad_norm"], norms["critic"])
        close(metrics["energy/sampler.energy_grad_norm"], norms["energy"])
        wanted = dict(expected["norms"])
        close(norm(list(agent.part("sampler.energy").parameters())), wanted.pop("energy"))
        same_norms(agent, wanted)
    final = dict(theirs["final"])
    same_prints(parameters(agent, "sampler.energy"), final.pop("energy"))
    # The roles of an average that starts as a copy are the live part's.
    same_prints(
        {name.removeprefix("target/"): p for name, p in parameters(agent, "target.critic").items()},
        final.pop("target/critic"),
    )
    same_parts(agent, final)


@pytest.mark.parametrize("scale", list(NUMBERS["samples"]))
def test_samples_from_the_same_noise(scale):
    """By 15 calls of singlestep DPM-Solver++ of order 2, guided at each scale."""
    draws = Draws([formula.normal("sample/x_T", (2, ROWS, ACTIONS))])
    sampler = agent_of("qgpo").part("sampler")
    actions = sampler.sample_scaled(batch(0).observations, draws, 2, float(scale))
    close(actions.detach(), NUMBERS["samples"][scale])


def test_the_headline_acts_as_theirs_at_that_scale():
    draws = Draws([formula.normal("act/x_T", (1, ROWS, ACTIONS))])
    action = agent_of("qgpo", "scale=3").act(batch(0).observations, draws)
    close(action, torch.tensor(NUMBERS["act"], dtype=torch.float64).clamp(-1, 1))
