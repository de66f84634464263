"""`edp`, `edp_crr`, `edp_iql` and their one-step losses against the official code; see README.md.

The official side ran in float64 throughout, with our time embedding in its network. Where clean
actions are clipped, samples take 9 calls: their times are then whole steps, at which the official
code clips with the coefficients of the time that its network sees.
"""

import pytest
import torch

from zoo_core import over_members, resolve

from . import formula
from .bridge import (
    ACTIONS,
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

NUMBERS = golden("edp")
NAMES = {"TD3": "edp", "CRR": "edp_crr", "IQL": "edp_iql"}
OURS = {
    "alpha": "alpha",
    "max_q_backup": "max_q_backup",
    "crr_beta": "temperature",
    "crr_fn": "weights",
    "expectile": "expectile",
    "awr_temperature": "beta",
}
IMPROVEMENT = {"edp": "one_step_q", "edp_crr": "one_step_crr", "edp_iql": "one_step_awr"}


def named(settings):
    """Our algorithm and settings for the official ones."""
    settings = dict(settings)
    algorithm = NAMES[settings.pop("loss_type")]
    # Only where it takes the best of several does the official code clip the solver's last step.
    clip = str(settings.get("max_q_backup", False)).lower()
    ours = ["sampler.steps=9", f"sampler.clip={clip}"]
    if settings.pop("crr_avg_fn", "mean") == "max":
        ours.append("train.actor.one_step_crr.baseline=min_then_max")
    return algorithm, ours + [f"{OURS[k]}={str(v).lower()}" for k, v in settings.items()]


def draws_of(settings, prefix, term, coin=None):
    """What a term draws."""
    if term == "td" and settings["loss_type"] != "IQL":
        n = 10 if settings.get("max_q_backup") else 1
        return Draws([formula.normal(f"{prefix}/critic/next/x_T", (n, ROWS, ACTIONS))])
    if term == "one_step_nll":
        return cloning(prefix)
    if term == "one_step_q":
        return Draws([], [formula.uniform(f"{prefix}/actor/q/coin") if coin is None else coin])
    if term == "one_step_crr":
        return Draws([formula.normal(f"{prefix}/actor/crr/others", (10, ROWS, ACTIONS))])
    return Draws()


def norms_of(tensors):
    """Norms by the official names of the parts: policy, qf1, qf2, vf."""
    heads = {"actor/": "policy", "critic/0/": "qf1", "critic/1/": "qf2", "value/": "vf"}
    kinds = {}
    for role, tensor in tensors.items():
        kinds.setdefault(next(n for h, n in heads.items() if role.startswith(h)), []).append(tensor)
    return {name: norm(own) for name, own in kinds.items()}


@pytest.mark.parametrize("key", list(NUMBERS["samples"]))
def test_samples(key):
    case = NUMBERS["samples"][key]
    agent = agent_of(
        "edp",
        f"sampler.steps={case['steps']}",
        f"sampler.schedule={case['schedule']}",
        f"sampler.clip_denoised={str(case['clip']).lower()}",
        "sampler.clip=false",
    )
    draws = Draws([formula.normal("sample/x_T", (1, ROWS, ACTIONS))])
    with torch.no_grad():
        ours = agent.part("sampler").sample(batch(0).observations, draws)[0]
    theirs = torch.tensor(case["actions"], dtype=torch.float64)
    if key == "15 clipped":
        # Between whole steps the official code clips with the coefficients of the step below.
        gap = (ours - theirs).abs().max()
        assert 1e-9 < gap < 0.02
    else:
        close(ours, theirs)


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_losses_and_gradients(key):
    case = NUMBERS["losses"][key]
    algorithm, settings = named(case["settings"])
    agent, theirs = agent_of(algorithm, *settings), case["gradient_norms"]
    coin = None if case["coin"] is None else torch.tensor(case["coin"], dtype=torch.float64)

    def objective(update):
        (own,) = [u for u in agent.recipe.stages[0].updates if u.name == update]
        draws = {t.name: draws_of(case["settings"], "fixed", t.name, coin) for t in own.losses}
        return loss(agent, update, draws)

    total, metrics = objective("actor")
    close(metrics["actor/one_step_nll"], case["diff_loss"])
    weight = agent.recipe.values().get("alpha", 1.0)
    close(weight * metrics[f"actor/{IMPROVEMENT[algorithm]}"], case["guide_loss"])
    close(total.detach(), case["policy_loss"])
    gradient = gradients(total, agent, "sampler")
    close(norms_of(gradient)["policy"], theirs["policy"])
    if "policy_gradient" in case:
        same_prints(gradient, case["policy_gradient"])
    if "adv" in case:
        close(metrics["actor/advantage_mean"], case["adv"])

    total, metrics = objective("critic")
    close(total.detach(), case["qf1_loss"] + case["qf2_loss"])
    close(metrics["critic/target_mean"], case["tgt_q"])
    for name, value in norms_of(gradients(total, agent, "critic")).items():
        close(value, theirs[name])
    if algorithm == "edp_iql":
        total, _ = objective("value")
        close(total.detach(), case["vf_loss"])
        close(norms_of(gradients(total, agent, "value"))["vf"], theirs["vf"])


@pytest.mark.parametrize(
    ("key", "engine"),
    [*((key, "solo") for key in NUMBERS["updates"]), ("edp", "vmap"), ("edp_crr", "vmap")],
)
def test_five_updates(key, engine):
    case = NUMBERS["updates"][key]
    # As torch does, ours adds 1e-6 to the norm by which a gradient is clipped; optax does not.
    rtol = 1e-6 if case["policy_clip"] else 1e-9
    algorithm, settings = named(case["settings"])
    settings += ["steps=5", f"batch_size={ROWS}"]
    if algorithm != "edp_iql":
        settings.append("average_start=5")
    if case["policy_clip"]:
        settings.append(f"train.actor.optimizer.sampler.max_grad_norm={case['policy_clip']}")
    trainer = scripted(
        resolve(algorithm, settings),
        engine,
        "copy",
        lambda i, term: draws_of(case["settings"], f"update{i}", term),
    )
    for (metrics, agent), expected in zip(updates(trainer), case["by_update"], strict=True):
        close(metrics["critic/td"], expected["qf1_loss"] + expected["qf2_loss"], rtol)
        close(metrics["actor/one_step_nll"], expected["diff_loss"], rtol)
        weight = agent.recipe.values().get("alpha", 1.0)
        close(weight * metrics[f"actor/{IMPROVEMENT[algorithm]}"], expected["guide_loss"], rtol)
        if "vf_loss" in expected:
            close(metrics["value/expectile"], expected["vf_loss"], rtol)
        if case["policy_clip"]:
            close(metrics["actor/sampler_grad_norm"], expected["policy_grad_norm"], rtol)
        for path in ("sampler", "critic", "value", "target.sampler", "target.critic"):
            where = "target/" if path.startswith("target.") else ""
            own = {r.removeprefix(where): p for r, p in parameters(agent, path).items()}
            for name, value in norms_of(own).items():
                close(value, expected["norms"][where + name], rtol)
    for role, tensor in parameters(agent, "sampler").items():
        for kind, number in formula.fingerprint(tensor).items():
            close(number, case["final"][role][kind], rtol)


@pytest.mark.parametrize("algorithm", ["edp", "edp_crr"])
def test_the_policys_average_moves_as_in_the_official_code(algorithm):
    (ema,) = [e for e in resolve(algorithm).stages[0].emas if e.part == "sampler"]
    theirs = [step for step in range(1, 1020) if step > 1000 and step % 5 == 0]
    assert [step for step in range(1, 1020) if ema.fires(step)] == theirs


def test_acting_by_a_softmax_over_fifty_candidates():
    theirs = NUMBERS["acting"]
    agent = agent_of("edp", "sampler.steps=9", "sampler.clip=false")
    observation, x = batch(0).observations[:1], formula.normal("act/x_T", (50, 1, ACTIONS))
    with torch.no_grad():
        actions = agent.part("sampler").sample(observation, Draws([x]), 50)
        close(actions[:, 0], theirs["actions"])
        scores = over_members(agent.part("critic").q(observation, actions), "min")[:, 0]
    close(scores, theirs["q_min"])
    close(scores.softmax(0), theirs["probabilities"])

    uniforms = formula.uniform("act/gumbel", (50, 1))
    gumbel = -(-uniforms.log()).log()[:, 0]
    probabilities = torch.tensor(theirs["probabilities"], dtype=torch.float64)
    best = theirs["actions"][int((probabilities.log() + gumbel).argmax())]
    chosen = agent.act(observation, Draws([x], [uniforms]), "best_of_50")
    close(chosen[0], torch.tensor(best, dtype=torch.float64).clamp(-1.0, 1.0))
