"""The diffusion sampler and its parts against Diffusion-QL's official code; see README.md."""

import math

import pytest
import torch

from zoo_core.diffusion import Ddpm, Prediction
from zoo_core.nn import betas, diffusion_coefficients

from . import formula
from .bridge import (
    ACTIONS,
    ROWS,
    Draws,
    agent_of,
    batch,
    chain,
    close,
    golden,
    gradients,
    norm,
    parameters,
    same_prints,
)

NUMBERS = golden("diffusion")
SCHEDULES = list(NUMBERS["schedules"])


def agent(schedule="vp", steps=5, *more):
    return agent_of("diffusion_bc", f"sampler.schedule={schedule}", f"sampler.steps={steps}", *more)


@pytest.mark.parametrize("key", SCHEDULES)
def test_schedule_and_what_follows_from_it(key):
    schedule, steps = key.split("/")
    theirs = NUMBERS["schedules"][key]["float64"]
    c = diffusion_coefficients(betas(schedule, int(steps)))
    for ours, name in (
        (c.betas, "betas"),
        (c.alphas_cumprod, "alphas_cumprod"),
        (c.alphas_cumprod_before, "alphas_cumprod_prev"),
        (c.posterior_variance, "posterior_variance"),
        (c.posterior_mean_x0, "posterior_mean_coef1"),
        (c.posterior_mean_x, "posterior_mean_coef2"),
    ):
        close(ours, theirs[name])
    in_float32 = NUMBERS["schedules"][key]["float32"]
    close(c.betas, in_float32["betas"], rtol=1e-6)
    close(c.alphas_cumprod, in_float32["alphas_cumprod"], rtol=2e-5)

    process = agent(schedule, steps).part("sampler").process
    close(process.sqrt_alphas_cumprod, theirs["sqrt_alphas_cumprod"])
    close(process.sqrt_one_minus_alphas_cumprod, theirs["sqrt_one_minus_alphas_cumprod"])
    alphas = torch.tensor([math.exp(a) for a in process.log_alphas], dtype=torch.float64)
    close(1 / alphas, theirs["sqrt_recip_alphas_cumprod"])
    close((1 - alphas.square()).sqrt() / alphas, theirs["sqrt_recipm1_alphas_cumprod"], rtol=1e-8)
    log_variance = torch.tensor(theirs["posterior_log_variance_clipped"], dtype=torch.float64)
    close(Ddpm(process).posterior_std, (0.5 * log_variance).exp())


@pytest.mark.parametrize("key", SCHEDULES)
def test_forward_process_and_posterior(key):
    schedule, steps = key.split("/")
    theirs = NUMBERS["forward_and_posterior"][key]
    sampler = agent(schedule, steps, "sampler.clip_denoised=false").part("sampler")
    x, eps = (formula.normal(f"schedule/{name}", (ROWS, ACTIONS)) for name in ("x_t", "noise"))
    t = formula.timesteps("schedule/t", (ROWS,), int(steps))
    actions = batch(0).actions
    close(t, theirs["t"])
    close(sampler.diffused(actions, t, eps), theirs["q_sample"])
    for row, time in enumerate(t.tolist()):
        mean = sampler.own_solver.posterior_mean(actions[row], x[row], time)
        close(mean, theirs["posterior_mean"][row])
        log_variance = theirs["posterior_log_variance"][row]
        close(2 * math.log(sampler.own_solver.posterior_std[time]), log_variance)
        at = Prediction(sampler.process, [(time + 1) / int(steps)], lambda x, k, e=eps[row]: e)
        close(at.clean(x[row], 0), theirs["start_from_noise"][row])


def test_networks():
    theirs = NUMBERS["networks"]
    whole = agent_of("diffusion_ql", "sampler.steps=20")
    denoiser = whole.part("sampler").denoiser
    embedding = theirs["time_embedding"]
    times = torch.tensor(embedding["t"])
    close(denoiser.time.embedding(times), embedding["values"])
    close(denoiser.time(times), embedding["after_time_mlp"])
    x = formula.normal("network/x_t", (ROWS, ACTIONS))
    t = formula.timesteps("network/t", (ROWS,), 20)
    own = batch(0)
    close(denoiser(own.observations, x, t), theirs["denoiser"]["output"])
    close(whole.part("critic").q(own.observations, own.actions), theirs["critic"]["q"])
    ours = parameters(whole, "sampler") | parameters(whole, "critic")
    same_prints(ours, {name: theirs["parameters"][name] for name in ours})


@pytest.mark.parametrize("key", list(NUMBERS["samples"]))
def test_whole_chain_and_its_gradient(key, monkeypatch):
    theirs = NUMBERS["samples"][key]
    predicts = {"eps": "noise", "x0": "x0"}[theirs["predicts"]]
    clip = "true" if theirs["clip_denoised"] else "false"
    steps = theirs["steps"]
    settings = (f"sampler.predict={predicts}", f"sampler.clip_denoised={clip}")
    own = agent(theirs["schedule"], steps, *settings)
    sampler, visited = own.part("sampler"), []
    mean = sampler.own_solver.posterior_mean

    def spied(x0, x, t):
        visited.append(x)
        if t == 0:
            visited.append(mean(x0, x, t))
            return visited[-1]
        return mean(x0, x, t)

    monkeypatch.setattr(sampler.own_solver, "posterior_mean", spied)
    draws = Draws(chain("sample", steps))
    actions = sampler.sample(batch(0).observations, draws)[0]
    assert draws.spent
    close(actions, theirs["actions"])
    close(visited[-1][0], theirs["before_last_clamp"])
    close([x.detach().norm().item() for x in visited], theirs["chain_norms"])
    if "chain" in theirs:
        close(torch.stack(visited)[:, 0], theirs["chain"])
    direction = 2.0 * formula.uniform("probe", (ROWS, ACTIONS)) - 1.0
    gradient = gradients((actions * direction).sum(), own, "sampler")
    same_prints(gradient, theirs["probe_gradient"])
    close(norm(list(gradient.values())), theirs["probe_gradient_norm"])


def test_several_candidates_of_one_observation():
    draws = Draws(chain("candidates", 5, n=4))
    actions = agent().part("sampler").sample(batch(0).observations, draws, 4)
    assert draws.spent
    close(actions, NUMBERS["candidates"]["actions"])
