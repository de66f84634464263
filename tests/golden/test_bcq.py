"""`bcq`, its sampler and its losses against the official code; see README.md."""

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

NUMBERS = golden("bcq")
LATENTS = 2 * ACTIONS
UPDATE = {"vae": "sampler.vae", "critic": "critic", "perturbation": "sampler.perturbation"}
TERM = {"vae": "nll", "critic": "td", "perturbation": "dpg"}


def latents(prefix, update):
    role, shape = {
        "vae": ("vae/z", (ROWS, LATENTS)),
        "critic": ("critic/next/z", (10, ROWS, LATENTS)),
        "perturbation": ("perturbation/z", (1, ROWS, LATENTS)),
    }[update]
    return Draws([formula.normal(f"{prefix}/{role}", shape)])


def settings(case):
    return (
        f"discount={case['discount']}",
        f"mix={case['lmbda']}",
        f"sampler.phi={case['phi']}",
    )


@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_sampler(key):
    theirs, own = NUMBERS["losses"][key], batch(0)
    agent = agent_of("bcq", *settings(theirs))
    vae = agent.part("sampler.vae")
    mean, log_std = vae.encode(own.observations, own.actions)
    z = formula.normal("fixed/vae/z", (ROWS, LATENTS))
    for name, tensor in {
        "mean": mean,
        "std": log_std.exp(),
        "reconstruction": vae.decode(own.observations, mean + log_std.exp() * z),
        "next_actions": agent.part("target.sampler").sample(
            own.next_observations, latents("fixed", "critic"), 10
        ),
    }.items():
        same_prints({name: tensor}, {name: theirs[name]})
    for name, path in {"decoded": "sampler.vae", "perturbed": "sampler"}.items():
        draws = latents("fixed", "perturbation")
        close(agent.part(path).sample(own.observations, draws)[0].detach(), theirs[name])


@pytest.mark.parametrize("update", UPDATE)
@pytest.mark.parametrize("key", list(NUMBERS["losses"]))
def test_loss(key, update):
    case = NUMBERS["losses"][key]
    agent, theirs = agent_of("bcq", *settings(case)), case[update]
    total, _ = loss(agent, update, {TERM[update]: latents("fixed", update)})
    close(total.detach(), theirs["loss"])
    gradient = gradients(total, agent, UPDATE[update])
    close(norm(list(gradient.values())), theirs["gradient_norm"])
    same_prints(gradient, theirs["gradient"])


@engine_cases(NUMBERS["updates"])
def test_five_updates(key, engine):
    theirs = NUMBERS["updates"][key]
    recipe = resolve(
        "bcq",
        [
            *settings(theirs),
            "steps=5",
            f"batch_size={ROWS}",
            f"tau={theirs['tau']}",
            # Too large to clip: it makes the core report the norms.
            *(f"train.{u}.optimizer.{part}.max_grad_norm=1e9" for u, part in UPDATE.items()),
        ],
    )
    update_of = {term: update for update, term in TERM.items()}
    trainer = scripted(
        recipe,
        engine,
        theirs["targets"],
        lambda i, term: latents(f"update{i}", update_of[term]),
    )
    for (metrics, agent), expected in zip(updates(trainer), theirs["by_update"], strict=True):
        for update, part in UPDATE.items():
            close(metrics[f"{update}/{TERM[update]}"], expected[update]["loss"])
            grad_norm = metrics[f"{update}/{part}_grad_norm"]
            close(grad_norm, expected[update]["gradient_norm"])
        same_norms(agent, expected["norms"])
    same_parts(agent, theirs["final"])
    for row, action in enumerate(theirs["actions_after"]):
        draws = Draws([formula.normal(f"act/{row}/z", (100, 1, LATENTS))])
        close(agent.act(batch(0).observations[row : row + 1], draws)[0], action)
