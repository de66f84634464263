"""The losses `td` and `q_norm`, and `diffusion_ql`, against the official code; see README.md."""

import math

import pytest
import torch

from zoo_core import OfflineData, over_members, reduction, resolve
from zoo_core.data import reward_scaling

from . import formula
from .bridge import (
    ROWS,
    Draws,
    agent_of,
    batch,
    chain,
    cloning,
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

NUMBERS = golden("diffusion_ql")


def coined(prefix, steps, coin):
    return Draws(chain(f"{prefix}/actor/q", steps), [coin])


def agent_for(case):
    return agent_of(
        "diffusion_ql",
        f"sampler.steps={case['steps']}",
        f"train.actor.q_norm.weight={case['eta']}",
        f"max_q_backup={str(case['max_q_backup']).lower()}",
    )


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_critic_loss(key):
    case = NUMBERS["losses"][key]
    theirs, agent, own = case["critic"], agent_for(case), batch(0)
    draws = Draws(chain("fixed/critic/next", case["steps"], case["n"]))
    actions = agent.part("target.sampler").sample(own.next_observations, draws, case["n"])
    close(actions.detach(), theirs["next_actions"])
    how = agent.recipe.values()["train.critic.td.reduce"]
    assert how == ("max_then_min" if case["max_q_backup"] else "min")
    value = reduction(how)(agent.part("target.critic").q(own.next_observations, actions))
    target = own.rewards + 0.99 * (1 - own.terminations) * value
    close(target.detach(), theirs["target_q"])
    close(agent.part("critic").q(own.observations, own.actions).detach(), theirs["q"])

    draws = Draws(chain("fixed/critic/next", case["steps"], case["n"]))
    total, metrics = loss(agent, "critic", {"td": draws})
    close(total.detach(), theirs["loss"])
    close(metrics["critic/target_mean"], sum(theirs["target_q"]) / ROWS)
    gradient = gradients(total, agent, "critic")
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@pytest.mark.parametrize("numerator", [0, 1])
@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_actor_loss_by_both_sides_of_the_coin(key, numerator):
    case = NUMBERS["losses"][key]
    theirs, agent, own = case["actor"], agent_for(case), batch(0)
    side = theirs[f"numerator_{numerator}"]
    coin = torch.tensor(side["uniform"], dtype=torch.float64)
    actions = agent.part("sampler").sample(own.observations, coined("fixed", case["steps"], coin))
    close(actions[0].detach(), theirs["new_actions"])
    q = agent.part("critic").q(own.observations, actions[0])
    close(q.detach(), theirs["q_of_new_actions"])

    draws = {"nll": cloning("fixed"), "q_norm": coined("fixed", case["steps"], coin)}
    total, metrics = loss(agent, "actor", draws)
    close(metrics["actor/nll"], theirs["bc_loss"])
    close(metrics["actor/q_norm"], side["q_loss"])
    close(total.detach(), side["total"])
    gradient = gradients(total, agent, "sampler")
    close(norm(list(gradient.values())), side["gradient_norm"])
    same_prints(gradient, side["gradient"])

    only = agent_for({**case, "eta": 0.0})
    draws = {"nll": cloning("fixed"), "q_norm": coined("fixed", case["steps"], coin)}
    of_cloning = gradients(loss(only, "actor", draws)[0], only, "sampler")
    close(norm(list(of_cloning.values())), theirs["bc_gradient_norm"])
    same_prints(of_cloning, theirs["bc_gradient"])
    of_q = [gradient[name] - of_cloning[name] for name in gradient]
    close(norm(of_q), side["eta_q_loss_gradient_norm"])


def first_step(settings):
    """The official code asks before it counts: finished updates that divide, from a start on."""
    start, every = settings["step_start_ema"], settings["update_ema_every"]
    return math.ceil(start / every) * every + 1


@pytest.mark.parametrize(
    ("key", "engine"),
    [*((key, "solo") for key in NUMBERS["updates"]), ("plain", "vmap"), ("ema_from_1", "vmap")],
)
def test_five_updates(key, engine):
    theirs = NUMBERS["updates"][key]
    given = theirs["settings"]
    clip = given["grad_norm"] or "none"
    recipe = resolve(
        "diffusion_ql",
        [
            "steps=5",
            f"batch_size={ROWS}",
            f"train.actor.q_norm.weight={given['eta']}",
            f"max_q_backup={str(given['max_q_backup']).lower()}",
            f"train.actor.optimizer.sampler.lr={given['lr']}",
            f"train.actor.optimizer.sampler.max_grad_norm={clip}",
            f"train.critic.optimizer.critic.lr={given['critic_learning_rate']}",
            f"train.critic.optimizer.critic.max_grad_norm={clip}",
            f"train.emas.sampler.rate={1 - given['ema_decay']}",
            f"train.emas.sampler.every={given['update_ema_every']}",
            f"train.emas.sampler.start={first_step(given)}",
            f"train.emas.critic.rate={given['tau']}",
        ],
    )

    def draws(i, term):
        prefix = f"update{i}"
        if term == "td":
            return Draws(chain(f"{prefix}/critic/next", 5, given["n"]))
        if term == "nll":
            return cloning(prefix)
        return coined(prefix, 5, formula.uniform(f"{prefix}/actor/q/swap"))

    trainer = scripted(recipe, engine, given["targets"], draws)
    (ema,) = [ema for ema in recipe.stages[0].emas if ema.part == "sampler"]
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        assert ema.fires(expected["update"]) == expected["ema_happened"]
        close(metrics["critic/td"], expected["critic_loss"])
        close(metrics["actor/nll"], expected["bc_loss"])
        close(metrics["actor/q_norm"], expected["q_loss"])
        total = metrics["actor/nll"] + given["eta"] * metrics["actor/q_norm"]
        close(total, expected["actor_loss"])
        if given["grad_norm"]:
            before = expected["gradient_norms"]
            close(metrics["critic/critic_grad_norm"], before["critic"])
            close(metrics["actor/sampler_grad_norm"], before["actor"])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])


def test_the_averages_start_and_move_as_in_the_official_defaults():
    (ema,) = [e for e in resolve("diffusion_ql").stages[0].emas if e.part == "sampler"]
    moves = [step for step in range(1, 1020) if ema.fires(step)]
    assert moves == [1001, 1006, 1011, 1016]
    assert ema.fires(first_step({"step_start_ema": 1000, "update_ema_every": 5}))


def test_acting_by_a_softmax_over_fifty_candidates():
    theirs, agent = NUMBERS["acting"], agent_of("diffusion_ql")
    observation = batch(0).observations[:1]
    candidates = Draws(chain("act", 5, 50, rows=1))
    actions = agent.part("sampler").sample(observation, candidates, 50)
    close(actions.detach(), theirs["actions"])
    scores = over_members(agent.part("target.critic").q(observation, actions), "min")[:, 0]
    close(scores.detach(), theirs["q_min"])
    close(scores.softmax(0).detach(), theirs["probabilities"])

    uniforms = formula.uniform("act/gumbel", (50, 1))
    gumbel = -(-uniforms.log()).log()[:, 0]
    best = int((torch.tensor(theirs["probabilities"]).double().log() + gumbel).argmax())
    draws = Draws(chain("act", 5, 50, rows=1), [uniforms])
    close(agent.act(observation, draws), theirs["actions"][best])
    assert draws.spent


def test_reward_rules():
    """`standardise` divides by the population's deviation, the official code by the sample's; and
    for `return_range` the official code leaves out what follows the last termination."""
    recorded = NUMBERS["reward_rules"]
    rewards = formula.normal("rewards/rewards", (40,)).float()
    ends = torch.tensor([0, *(i + 1 for i in recorded["terminations_at"]), 40])

    def data(episodes):
        lengths = ends.diff()[:episodes]
        n = int(lengths.sum())
        terminations = torch.zeros(n, dtype=torch.bool)
        terminations[lengths.cumsum(0) - 1] = True
        observations, actions = torch.zeros(n + episodes, 1), torch.zeros(n, 1)
        none = torch.zeros(n, dtype=torch.bool)
        return OfflineData(observations, actions, rewards[:n], terminations, none, lengths)

    for ours, theirs, episodes in (
        ("none", "no", 4),
        ("standardise", "normalize", 4),
        ("minus_one", "iql_antmaze", 4),
        ("antmaze", "cql_antmaze", 4),
        ("return_range", "iql_locomotion", 3),
    ):
        shift, scale = reward_scaling(data(episodes), ours)
        scaled = (rewards.double() - shift) * scale
        close(scaled, recorded["values"][theirs], rtol=2e-6, atol=2e-6)
