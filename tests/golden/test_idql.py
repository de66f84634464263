"""`idql`, its network, chain, objectives and order of updates against the official code; see
README.md."""

import pytest
import torch

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

NUMBERS = golden("idql")
TERMS = {"actor": "nll", "value": "expectile", "critic": "td"}
PARTS = {"actor": "sampler", "value": "value", "critic": "critic"}
OLDER = ("sampler.activation=mish", "sampler.time_dim=64", "value.input_norm=false")
"""Of the other learner in the official repository, which has more objectives."""


def settings(theirs):
    """The official settings in our words; what is absent has the class's default."""
    return (
        "critic_every=1",
        f"expectile={theirs.get('critic_hyperparam', 0.7)}",
        f"sampler.dropout={theirs.get('actor_dropout_rate', 0.0)}",
        f"value.input_norm={theirs.get('value_layer_norm', True)}".lower(),
        f"policy_tau={theirs.get('actor_tau', 0.001)}",
        f"tau={theirs.get('tau', 0.005)}",
        f"policy_decay={theirs.get('decay_steps', 5) is not None}".lower(),
    )


def draws(u, term, theirs):
    """Time, noise, and dropout's masks at the start of each block."""
    if term not in {"nll", "advantage_nll"}:
        return Draws()
    eps = formula.normal(f"{u}/actor/bc/eps", (ROWS, ACTIONS))
    uniforms = [formula.uniform(f"{u}/actor/bc/t", (ROWS,))]
    if theirs.get("actor_dropout_rate", 0.0) > 0.0:
        uniforms += [formula.uniform(f"{u}/actor/dropout/{k}", (ROWS, 256)) for k in range(3)]
    return Draws([eps], uniforms)


def chain(row, n=64):
    """What the chain of so many candidates draws; our last step adds no noise and draws none."""
    roles = ["x_T", *(f"noise/{t}" for t in range(4, 0, -1))]
    return [formula.normal(f"act/{row}/{name}", (n, 1, ACTIONS)) for name in roles]


def acted(agent, theirs):
    for row, action in enumerate(theirs):
        own = Draws(chain(row))
        close(agent.act(batch(0).observations[row : row + 1], own)[0], action)
        assert own.spent


@pytest.mark.parametrize("update", TERMS)
@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_losses_and_gradients(key, update):
    case = NUMBERS["losses"][key]
    theirs, agent = case[update], agent_of("idql", *settings(case["settings"]))
    term = TERMS[update]
    total, _ = loss(agent, update, {term: draws("fixed", term, case["settings"])})
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, PARTS[update])
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_the_best_of_64(key):
    case = NUMBERS["losses"][key]
    acted(agent_of("idql", *settings(case["settings"])), case["acting"])


@pytest.mark.parametrize("objective", ["expectile", "quantile", "exponential"])
def test_objectives_of_the_value(objective):
    theirs = NUMBERS["objectives"][objective]
    given = theirs["hyperparam"]
    setting = f"temperature={1 / given}" if objective == "exponential" else f"expectile={given}"
    path = "train.value.expectile"
    agent = agent_of("idql", *OLDER, f"{path}.objective={objective}", f"{path}.{setting}")
    total, _ = loss(agent, "value", {"expectile": Draws()})
    gradient = gradients(total, agent, "value")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])
    if objective != "exponential":  # whose value the official code leaves out
        close(total.detach(), theirs["loss"])


def test_a_policy_weighted_by_the_advantage():
    theirs = NUMBERS["objectives"]["exp_adv"]
    swapped = ("train.actor.nll=advantage_nll", f"train.actor.nll.beta={theirs['beta']}")
    agent = agent_of("idql", *OLDER, "sampler.dropout=0", *swapped)
    total, _ = loss(agent, "actor", {"nll": draws("fixed", "nll", {})})
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, "sampler")
    close(norm(list(gradient.values())), theirs["gradient_norm"])


def test_the_implicit_policy():
    theirs = NUMBERS["objectives"]["implicit"]["probabilities"]
    agent = agent_of("idql", *OLDER)
    for row, probabilities in enumerate(torch.tensor(theirs, dtype=torch.float64)):
        observation = batch(0).observations[row : row + 1]
        with torch.no_grad():
            candidates = agent.part("target.sampler").sample(observation, Draws(chain(row)), 64)
            q = agent.part("target.critic").q(observation, candidates).amin(0)[:, 0]
            above = q > agent.part("value").v(observation)
        weights = 0.3 + 0.4 * above.double()
        close(weights / weights.sum(), probabilities)

        def taken(raised, uniform, row=row, observation=observation):
            """The action where one candidate's uniform number is so much, the others' 0.5."""
            uniforms = torch.full((64, 1), 0.5, dtype=torch.float64)
            uniforms[raised] = uniform
            return agent.act(observation, Draws(chain(row), [uniforms]), "reweighted")

        rarest, likeliest = int(probabilities.argmin()), int(probabilities.argmax())
        # Gumbel numbers rise by 4.2 and by 0.3, where log(0.7 / 0.3) is 0.85.
        close(taken(rarest, 0.99), candidates[rarest])
        close(taken(rarest, 0.6), candidates[likeliest])


@engine_cases(NUMBERS["updates"])
def test_five_updates(key, engine):
    theirs = NUMBERS["updates"][key]
    given = theirs["settings"]
    # Too large to clip: it makes the core report the norms.
    reports = [f"train.{u}.optimizer.{p}.max_grad_norm=1e9" for u, p in PARTS.items()]
    recipe = resolve("idql", ["steps=5", f"batch_size={ROWS}", *settings(given), *reports])
    trainer = scripted(
        recipe, engine, theirs["targets"], lambda i, term: draws(f"update{i}", term, given)
    )
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        for update, term in TERMS.items():
            scale = 0.5 if update == "critic" else 1.0  # the metric is the term's, unweighted
            close(scale * metrics[f"{update}/{term}"], expected["losses"][update])
            gradient = metrics[f"{update}/{PARTS[update]}_grad_norm"]
            close(gradient, expected["gradient_norms"][update])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])
    acted(agent, theirs["actions_after"])
