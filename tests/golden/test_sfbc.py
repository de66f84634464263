"""`sfbc`, its denoiser, solver, losses, planning and choice against the official code; see
README.md."""

from dataclasses import replace

import pytest
import torch

from zoo_core import Context, OfflineData, resolve

from . import formula
from .bridge import (
    ACTIONS,
    OBSERVATIONS,
    ROWS,
    Draws,
    agent_of,
    batch,
    cloning,
    close,
    golden,
    gradients,
    loss,
    norm,
    parameters,
    same_prints,
    scripted,
    updates,
)

NUMBERS = golden("sfbc")


def test_network_and_schedule():
    theirs, sampler = NUMBERS["network"], agent_of("sfbc").part("sampler")
    t = 1e-3 + (1 - 1e-3) * formula.uniform("network/t", (ROWS,))
    x = formula.normal("network/x_t", (ROWS, ACTIONS))
    close(sampler.denoiser(batch(0).observations, x, t).detach(), theirs["noise"])
    alpha, sigma = sampler.process.coefficients(t, x)
    close(alpha, theirs["alpha"])
    close(sigma, theirs["std"])


def test_behaviour_loss():
    agent, theirs = agent_of("sfbc"), NUMBERS["behaviour"]
    total, _ = loss(agent, "behaviour", {"nll": cloning("fixed")})
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, "sampler")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


def targets():
    rewards = torch.cat([batch(i).rewards for i in range(6)])
    return (batch(0).rewards - rewards.mean()) / rewards.std(correction=0).clamp(min=0.1)


def test_critic_loss():
    agent, theirs = agent_of("sfbc"), NUMBERS["critic"]
    own = replace(batch(0), columns={"targets": targets()})
    close(agent.part("critic").q(own.observations, own.actions)[0].detach(), theirs["q"])
    bound = agent.recipe.losses["round_1", "fit", "regress"]
    total, _ = bound.spec.build(bound.config)(Context(agent, own, Draws(), {}))
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, "critic")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@pytest.mark.parametrize("engine", ["solo", "vmap"])
@pytest.mark.parametrize(
    ("stage", "key", "update", "part", "term"),
    [
        (0, "behaviour", "behaviour", "sampler", "nll"),
        (1, "critic", "fit", "critic", "regress"),
    ],
)
def test_five_updates(stage, key, update, part, term, engine):
    theirs = NUMBERS["updates"][key]
    clip = f"optimizer.{part}.max_grad_norm=1e9"  # Too large to clip: it reports the norms.
    name = ("clone", "round_1")[stage]
    settings = [f"{name}.steps=5", f"{name}.batch.size={ROWS}", f"{name}.{update}.{clip}"]
    recipe = resolve("sfbc", settings)
    # The first round's targets are the rewards of these one-step episodes, normalised; its critic
    # keeps the weights that it is given.
    recipe = replace(recipe, stages=(replace(recipe.stages[stage], reset=()),))
    trainer = scripted(
        recipe, engine, "copy", lambda i, _: cloning(f"update{i}") if stage == 0 else Draws()
    )
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        close(metrics[f"{update}/{term}"], expected["loss"])
        close(metrics[f"{update}/{part}_grad_norm"], expected["gradient_norm"])
        close(norm(list(agent.part(part).parameters())), expected["norm"])
    same_prints(parameters(agent, part), theirs["final"])


def test_samples():
    """By DPM-Solver-fast of order 3 in 15 calls of the network."""
    agent, theirs, own = agent_of("sfbc"), NUMBERS["sample"], batch(0)
    draws = Draws([formula.normal("sample/x_T", (4, ROWS, ACTIONS))])
    actions = agent.part("sampler").sample(own.observations, draws, 4)
    close(actions.detach(), theirs["actions"])
    close(agent.part("critic").q(own.observations, actions)[0].detach(), theirs["q"])


def test_probabilities_of_the_candidates():
    agent, own = agent_of("sfbc"), batch(0)
    draws = Draws([formula.normal("act/x_T", (32, 1, ACTIONS))])
    candidates = agent.part("sampler").sample(own.observations[:1], draws, 32)
    act = agent.recipe.acts[0]
    q = agent.part("critic").q(own.observations[:1], candidates)[0, :, 0].detach()
    close((q / act.temperature).softmax(0), NUMBERS["act_1"]["probabilities"])


@pytest.mark.parametrize("count", [1, 4])
def test_the_likeliest_candidates(count):
    """Where the official code's draw is replaced by its likeliest outcome."""
    settings = ("acts.resampled.choose=argmax", f"acts.resampled.average={count}")
    draws = Draws([formula.normal("act/x_T", (32, 1, ACTIONS))])
    action = agent_of("sfbc", *settings).act(batch(0).observations[:1], draws)[0]
    theirs = torch.tensor(NUMBERS[f"act_{count}"]["mean_of_the_likeliest"], dtype=torch.float64)
    close(action, theirs.clamp(-1, 1))


@pytest.mark.parametrize("key", ["normalised", "plain"])
def test_planning(key):
    """Three rounds over episodes of unequal length, some of them truncated."""
    theirs = NUMBERS[f"planning/{key}"]
    lengths, terminated = theirs["lengths"], torch.tensor(theirs["terminated"])
    count, ends = sum(lengths), torch.tensor(lengths).cumsum(0) - 1
    rows = torch.arange(count) + torch.repeat_interleave(
        torch.arange(len(lengths)), torch.tensor(lengths)
    )
    # What the official code never sees, each episode's last observation and what is drawn there,
    # must not count.
    nothing = torch.full((count + len(lengths), 1), torch.nan, dtype=torch.float64)
    observations = nothing.repeat(1, OBSERVATIONS)
    observations[rows] = formula.normal("plan/observations", (count, OBSERVATIONS))
    drawn = nothing[..., None].repeat(1, 16, ACTIONS)
    drawn[rows] = 2 * formula.uniform("plan/drawn", (count, 16, ACTIONS)) - 1
    flags = torch.zeros(2, count, dtype=torch.bool)
    flags[0, ends], flags[1, ends] = terminated, ~terminated
    data = OfflineData(
        observations,
        0.95 * (2 * formula.uniform("plan/actions", (count, ACTIONS)) - 1),
        formula.normal("plan/rewards", (count,)),
        *flags,
        torch.tensor(lengths),
        columns={"drawn": drawn},
    )
    agent = agent_of(
        "sfbc",
        "floor=true",
        "bootstrap_truncations=false",
        f"normalize_returns={str(key == 'normalised').lower()}",
    )
    for number, expected in enumerate(theirs["rounds"]):
        with torch.no_grad():
            for role, parameter in parameters(agent, "critic").items():
                parameter.copy_(formula.weight(f"round{number}/{role}", parameter.shape))
            columns = agent.recipe.stages[-1].prepare(agent, data, Draws())
        close(columns["returns"][rows], expected["returns"])
        if key == "normalised":
            close(
                columns["targets"][rows] * expected["std"] + expected["mean"], expected["returns"]
            )
        else:
            close(columns["targets"], columns["returns"])
        data = replace(data, columns={**data.columns, **columns})
