"""`td3_bc`, its losses and its normalisation against the official code; see README.md."""

import pytest
import torch

from zoo_core import Agent, OfflineData, resolve
from zoo_core.data import observation_moments

from . import formula
from .bridge import (
    ACTIONS,
    ROWS,
    SPACE,
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

NUMBERS = golden("td3_bc")


def smoothing(prefix):
    return Draws([formula.normal(f"{prefix}/critic/next/noise", (ROWS, ACTIONS))])


def settings(case):
    return (
        f"train.actor.q_norm.weight={case['alpha']}",
        f"train.critic.td.smoothing={case['policy_noise']}",
        f"train.critic.td.smoothing_clip={case['noise_clip']}",
    )


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_critic_loss(key):
    case = NUMBERS["losses"][key]
    theirs, agent, own = case["critic"], agent_of("td3_bc", *settings(case)), batch(0)
    close(agent.part("critic").q(own.observations, own.actions).detach(), theirs["q"])
    next_actions = torch.tensor(theirs["next_actions"], dtype=torch.float64)
    value = agent.part("target.critic").q(own.next_observations, next_actions).amin(0)
    close(own.rewards + 0.99 * (1 - own.terminations) * value.detach(), theirs["target_q"])

    total, metrics = loss(agent, "critic", {"td": smoothing("fixed")})
    close(total.detach(), theirs["loss"])
    close(metrics["critic/target_mean"], sum(theirs["target_q"]) / ROWS)
    gradient = gradients(total, agent, "critic")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_actor_loss(key):
    case = NUMBERS["losses"][key]
    theirs, agent, own = case["actor"], agent_of("td3_bc", *settings(case)), batch(0)
    actions = agent.part("sampler").mode(own.observations)
    close(actions.detach(), theirs["policy_actions"])
    q = agent.part("critic").q(own.observations, actions)[0].detach()
    close(q, theirs["q"])
    close(case["alpha"] / q.abs().mean(), theirs["lambda"])

    total, metrics = loss(agent, "actor", {"q_norm": Draws(), "nll": Draws()})
    close(metrics["actor/nll"], theirs["bc_loss"])
    close(case["alpha"] * metrics["actor/q_norm"], theirs["lambda_q_loss"])
    close(total.detach(), theirs["total"])
    gradient = gradients(total, agent, "sampler")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@engine_cases(NUMBERS["updates"])
def test_five_updates(key, engine):
    theirs = NUMBERS["updates"][key]
    given = theirs["settings"]
    recipe = resolve(
        "td3_bc",
        [
            *settings(given),
            "steps=5",
            f"batch_size={ROWS}",
            "normalize_observations=false",
            f"tau={given['tau']}",
            f"policy_every={given['policy_freq']}",
            # Too large to clip: it makes the core report the norms.
            "train.actor.optimizer.sampler.max_grad_norm=1e9",
            "train.critic.optimizer.critic.max_grad_norm=1e9",
        ],
    )
    trainer = scripted(
        recipe,
        engine,
        given["targets"],
        lambda i, term: smoothing(f"update{i}") if term == "td" else Draws(),
    )
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        close(metrics["critic/td"], expected["critic_loss"])
        close(metrics["critic/critic_grad_norm"], expected["gradient_norms"]["critic"])
        assert ("actor/nll" in metrics) == expected["actor_updated"]
        if expected["actor_updated"]:
            close(metrics["actor/nll"], expected["bc_loss"])
            total = given["alpha"] * metrics["actor/q_norm"] + metrics["actor/nll"]
            close(total, expected["actor_loss"])
            close(metrics["actor/sampler_grad_norm"], expected["gradient_norms"]["actor"])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])
    close(agent.act(batch(0).observations, Draws()), theirs["actions_after"])


def test_normalisation_of_observations():
    theirs = NUMBERS["normalisation"]
    own = formula.batch(0, 64, *SPACE)
    scale = torch.linspace(0, 10, 11, dtype=torch.float64)
    shift = 0.5 * torch.arange(11)
    first, second = (own[f"{when}observations"] * scale + shift for when in ("", "next_"))
    none = torch.zeros(64, dtype=torch.bool)
    data = OfflineData(
        torch.stack([first, second], 1).flatten(0, 1),
        own["actions"],
        own["rewards"],
        own["terminations"].bool(),
        none,
        torch.ones(64, dtype=torch.int64),
    )
    mean, std = observation_moments(data)  # as float32
    close(mean, theirs["mean"], rtol=1e-6)
    close(std, theirs["std_plus_eps"], rtol=1e-6)
    agent = Agent(resolve("td3_bc"), SPACE, dtype=torch.float64)
    agent.fit_scaling(data)
    close(agent.normalized(first)[0], theirs["first_observation"], rtol=1e-5)
    close(agent.normalized(second)[0], theirs["first_next_observation"], rtol=1e-5)
