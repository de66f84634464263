"""The one-step action in closed form, and the losses that are made of it."""

import pytest
import torch
from torch import nn

from zoo_core import Agent, Batch, Context, GeneratorNoise, Space, resolve

SMALL = ["sampler.hidden=16", "critic.hidden=16"]
MORE = {"edp": [], "edp_crr": [], "edp_iql": ["value.hidden=16"]}
IMPROVEMENT = {"edp": "one_step_q", "edp_crr": "one_step_crr", "edp_iql": "one_step_awr"}


def agent_of(name, *settings):
    torch.manual_seed(0)
    recipe = resolve(name, [*SMALL, *MORE[name], *settings])
    return Agent(recipe, Space(3, 2), dtype=torch.float64)


def batch_of(rows=64):
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return Batch(
        observations=normal(rows, 3),
        actions=(0.5 * normal(rows, 2)).clamp(-0.9, 0.9),
        rewards=normal(rows),
        next_observations=normal(rows, 3),
        terminations=torch.zeros(rows, dtype=torch.float64),
        index=torch.arange(rows),
    )


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)


class OfGaussianActions(nn.Module):
    """The exact denoiser of actions N(mean, deviation^2): E[epsilon | a^k]."""

    def __init__(self, process, mean, deviation):
        super().__init__()
        self.process, self.mean, self.deviation = process, mean, deviation

    def forward(self, observations, actions, times):
        alpha, sigma = (c[:, None] for c in self.process.coefficients(times, actions))
        variance = (alpha * self.deviation) ** 2 + sigma**2
        return sigma * (actions - alpha * self.mean) / variance


def test_of_an_exact_denoiser_the_one_step_action_is_the_clean_action():
    """Where all data are one action, at every step of 1000."""
    sampler, batch = agent_of("edp").part("sampler"), batch_of(4000)
    action = torch.tensor([0.3, -0.7], dtype=torch.float64)
    sampler.denoiser = OfGaussianActions(sampler.process, action, 0.0)
    clean, error = sampler.reconstruct(batch.observations, action.expand(4000, 2), noise())
    torch.testing.assert_close(clean, action.expand(4000, 2), rtol=0.0, atol=1e-10)
    assert float(error.max()) < 1e-12


def test_of_an_exact_denoiser_the_one_step_action_is_the_posterior_mean():
    sampler, batch = agent_of("edp", "sampler.clip_denoised=false").part("sampler"), batch_of()
    mean, deviation = 0.2, 0.4
    sampler.denoiser = OfGaussianActions(sampler.process, mean, deviation)
    clean, _ = sampler.reconstruct(batch.observations, batch.actions, noise())
    draws = noise()
    times, epsilon = sampler.process.draw(draws, 64), draws.normal(64, 2)
    alpha, sigma = (c[:, None] for c in sampler.process.coefficients(times, epsilon))
    noised = alpha * batch.actions + sigma * epsilon
    weight = alpha * deviation**2 / ((alpha * deviation) ** 2 + sigma**2)
    torch.testing.assert_close(clean, mean + weight * (noised - alpha * mean))


@pytest.mark.parametrize("name", list(MORE))
def test_the_policys_update_calls_the_denoiser_once(name):
    agent, calls, shared = agent_of(name), [], {}
    agent.part("sampler").denoiser.register_forward_hook(lambda *_: calls.append(1))
    (update,) = [u for u in agent.recipe.stages[0].updates if u.name == "actor"]
    for number, term in enumerate(update.losses):
        own = agent.recipe.losses["train", "actor", term.name]
        own.spec.build(own.config)(Context(agent, batch_of(), noise(number), shared))
    assert len(update.losses) == 2
    assert len(calls) == 1


def value(agent, **options):
    """The improvement term and the one-step action and error that it saw."""
    name = IMPROVEMENT[agent.recipe.name]
    own = agent.recipe.losses["train", "actor", name]
    shared = {}
    context = Context(agent, batch_of(), noise(), shared)
    result, metrics = own.spec.build(own.config.updated(options))(context)
    return result, metrics, shared["one_step"]


class Scored(nn.Module):
    """A critic of two members with given values of an action."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def q(self, observations, actions, members=None):
        return torch.stack([self.of(actions), 2.0 * self.of(actions)])[:members]


def scored(agent, of):
    agent.live["critic"] = agent.target["critic"] = Scored(of)
    return agent


def test_the_q_term_follows_the_gradient_of_q_whatever_its_scale():
    def gradient(scale):
        agent = scored(agent_of("edp"), lambda a: scale * (3.0 + a[..., 0]))
        result, _, _ = value(agent)
        torch.testing.assert_close(result, -torch.ones((), dtype=torch.float64))
        return torch.autograd.grad(result, list(agent.part("sampler").parameters()))

    for one, thousand in zip(gradient(1.0), gradient(1000.0), strict=True):
        torch.testing.assert_close(one, thousand)
    assert max(float(g.abs().max()) for g in gradient(1.0)) > 0.0


def log_density(actions, mean):
    normal = torch.distributions.Normal(mean, 1.0)
    return normal.log_prob(actions).sum(-1)


def test_crr_weighs_the_gaussian_likelihood_by_advantages():
    batch = batch_of()
    flat = scored(agent_of("edp_crr"), lambda a: torch.ones_like(a[..., 0]))
    result, metrics, (clean, error) = value(flat)
    torch.testing.assert_close(result, -log_density(batch.actions, clean).mean())
    torch.testing.assert_close(value(flat, likelihood="bound")[0], error.mean())
    assert float(value(flat, weights="binary")[0].detach()) == 0.0

    # Q = -|a|^2: minus twice it is the lesser member, and E|a'|^2 over N(â, I) is |â|^2 + 2.
    square = scored(agent_of("edp_crr"), lambda a: -a.square().sum(-1))
    result, metrics, (clean, _) = value(square, n=20_000, temperature=4.0)
    advantage = 2.0 * (clean.square().sum(-1) + 2.0 - batch.actions.square().sum(-1))
    torch.testing.assert_close(metrics["advantage_mean"], advantage.mean(), rtol=0.01, atol=0.0)
    weighted = (advantage / 4.0).exp() * -log_density(batch.actions, clean)
    torch.testing.assert_close(result, weighted.mean(), rtol=0.02, atol=0.0)
    assert float(value(square, temperature=1e-3)[1]["weight_mean"]) == 20.0
    best = value(square, baseline="min_then_max")[1]["advantage_mean"]
    assert float(best) < float(metrics["advantage_mean"])


def test_awr_weighs_the_gaussian_likelihood_by_advantages():
    batch, agent = batch_of(), agent_of("edp_iql")
    result, _, (clean, error) = value(agent, beta=0.0)
    torch.testing.assert_close(result, -log_density(batch.actions, clean).mean())
    torch.testing.assert_close(value(agent, beta=0.0, likelihood="bound")[0], error.mean())
    q = agent.part("target.critic").q(batch.observations, batch.actions).amin(0)
    advantage = q - agent.part("value").v(batch.observations)
    weighted = (3.0 * advantage).exp().clamp(max=100.0) * -log_density(batch.actions, clean)
    torch.testing.assert_close(value(agent)[0], weighted.mean())
