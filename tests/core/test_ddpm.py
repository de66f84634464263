"""The sampler `ddpm` against closed forms that are derived here without it."""

import math

import pytest
import torch
from torch import nn

from zoo_core import GeneratorNoise, Space
from zoo_core.builtin.ddpm import DDPMConfig
from zoo_core.diffusion import DiffusionSampler, Prediction
from zoo_core.nn import betas

CASES = [(name, steps) for name in ("linear", "cosine", "vp") for steps in (1, 5, 50)]


class Known(nn.Module):
    """A denoiser in closed form: f(x [..., A], t) -> [..., A]."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, observations, x, t):
        return self.function(x, t)

    def conditioned(self, observations, times):
        return lambda x, k: self.function(x, times[k].long())


def ddpm(action_dim=1, function=None, **settings):
    sampler = DiffusionSampler(DDPMConfig(**settings), Space(1, action_dim)).double()
    if function is not None:
        sampler.denoiser = Known(function)
    return sampler


def clean(sampler, x, output, step):
    """The estimate of x_0 from the network's output."""
    time = (step + 1) / sampler.process.steps
    predict, clip = sampler.config.predict, sampler.config.clip_denoised
    return Prediction(sampler.process, [time], lambda x, k: output, predict, clip).clean(x, 0)


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)


def draw(sampler, rows, seed=0):
    """Actions [rows, A] of one observation."""
    with torch.no_grad():
        return sampler.sample(torch.zeros(rows, 1).double(), noise(seed))[0]


def forward_process(name, steps):
    """Per time: the alpha and beta of its step, and the mean's factor and the variance of x_t given
    x_0, by composing the steps x <- sqrt(alpha) x + sqrt(beta) z one after the other."""
    factor, variance, rows = 1.0, 0.0, []
    for beta in betas(name, steps).tolist():
        factor, variance = factor * math.sqrt(1 - beta), (1 - beta) * variance + beta
        rows.append((1 - beta, beta, factor, variance))
    return rows


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_forward_process_is_the_composition_of_its_steps(name, steps):
    sampler = ddpm(schedule=name, steps=steps)
    for t, (_, _, factor, variance) in enumerate(forward_process(name, steps)):
        one, zero, time = torch.ones(1, 1).double(), torch.zeros(1, 1).double(), torch.tensor([t])
        assert sampler.diffused(one, time, zero).item() == pytest.approx(factor, rel=1e-9)
        assert sampler.diffused(zero, time, one).item() ** 2 == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_posterior_is_bayes_rule_on_gaussians(name, steps):
    sampler = ddpm(schedule=name, steps=steps)
    process = forward_process(name, steps)
    x0, x = 0.7, -1.3
    for t in range(1, steps):
        alpha, beta, *_ = process[t]
        *_, factor, variance = process[t - 1]
        # Prior N(factor x0, variance) of x_{t-1}; likelihood N(x_t; sqrt(alpha) x_{t-1}, beta).
        precision = 1 / variance + alpha / beta
        mean = (factor * x0 / variance + math.sqrt(alpha) * x / beta) / precision
        ours = sampler.own_solver.posterior_mean(number(x0), number(x), t)
        assert ours.item() == pytest.approx(mean, rel=1e-6)
        assert sampler.own_solver.posterior_std[t] ** 2 == pytest.approx(1 / precision, rel=1e-9)


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_the_last_step_returns_the_clean_action(name, steps):
    sampler = ddpm(schedule=name, steps=steps)
    x0, x = number(0.3), number(5.0)
    assert sampler.own_solver.posterior_mean(x0, x, 0).item() == pytest.approx(0.3, rel=1e-9)


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_the_true_noise_gives_back_the_clean_action(name, steps):
    sampler = ddpm(3, schedule=name, steps=steps, predict="noise", clip_denoised=False)
    actions = torch.rand(steps, 3).double() * 2 - 1
    times, epsilon = torch.arange(steps), torch.randn(steps, 3).double()
    x = sampler.diffused(actions, times, epsilon)
    for t in range(steps):
        torch.testing.assert_close(clean(sampler, x[t], epsilon[t], t), actions[t])


MEANS = torch.tensor([[-0.5, 0.4], [0.45, 0.3], [0.1, -0.5]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
STD = 0.12


def exact(means=MEANS, weights=WEIGHTS, std=STD, **settings):
    """A sampler with E[noise | x_t] for data from sum_k weights_k N(means_k, std^2 I)."""

    def noise_at(x, t):
        kept, added = (
            sampler.process.sqrt_alphas_cumprod[t],
            sampler.process.sqrt_one_minus_alphas_cumprod[t],
        )
        variance = (kept * std) ** 2 + added**2
        offsets = x[..., None, :] - kept * means
        logits = weights.log() - 0.5 * offsets.square().sum(-1) / variance
        return added / variance * (logits.softmax(-1)[..., None] * offsets).sum(-2)

    def output(x, t):
        if sampler.config.predict == "noise":
            return noise_at(x, t)
        kept, added = (
            sampler.process.sqrt_alphas_cumprod[t],
            sampler.process.sqrt_one_minus_alphas_cumprod[t],
        )
        return (x - added * noise_at(x, t)) / kept

    sampler = ddpm(means.shape[1], output, clip_denoised=False, **settings)
    return sampler


@pytest.mark.parametrize(
    ("name", "steps", "rows"),
    [("vp", 300, 10_000), ("cosine", 300, 10_000), ("linear", 1000, 4000)],
)
def test_exact_score_of_a_mixture_reproduces_its_moments(name, steps, rows):
    """Sampling errors (one deviation, 10,000 draws): 0.005 of a weight and of a mean. The chain's
    own error, of the order of 1 / steps: 0.006 of a mode's deviation, which is too small."""
    actions = draw(exact(schedule=name, steps=steps), rows)
    mean = WEIGHTS @ MEANS
    between = (WEIGHTS[:, None] * (MEANS - mean)).T @ (MEANS - mean)
    covariance = between + STD**2 * torch.eye(2).double()
    torch.testing.assert_close(actions.mean(0), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(actions.T.cov(), covariance, atol=0.015, rtol=0)
    nearest = torch.cdist(actions, MEANS).argmin(1)
    for k in range(len(MEANS)):
        own = actions[nearest == k]
        assert len(own) / rows == pytest.approx(float(WEIGHTS[k]), abs=0.025)
        torch.testing.assert_close(own.mean(0), MEANS[k], atol=0.015, rtol=0)
        torch.testing.assert_close(own.std(0), torch.full((2,), STD).double(), atol=0.012, rtol=0)


@pytest.mark.parametrize(
    ("name", "steps"), [("vp", 5), ("vp", 50), ("cosine", 20), ("linear", 300)]
)
def test_exact_score_of_a_gaussian_gives_what_its_recursion_gives(name, steps):
    """With Gaussian data a step is x <- gain x + offset + noise, whose moments are known."""
    mu, std, rows = 0.2, 0.1, 20_000
    process = forward_process(name, steps)
    mean, variance = 0.0, 1.0
    for t in range(steps - 1, -1, -1):
        alpha, beta, factor, spread = process[t]
        before, spread_before = process[t - 1][2:] if t else (1.0, 0.0)
        # E[x_0 | x_t] by Bayes' rule; then the posterior's mean, and its variance as noise.
        slope = factor * std**2 / (factor**2 * std**2 + spread)
        of_x0, of_x = before * beta / spread, math.sqrt(alpha) * spread_before / spread
        gain = of_x0 * slope + of_x
        mean = gain * mean + of_x0 * (mu - slope * factor * mu)
        variance = gain**2 * variance + beta * spread_before / spread
    one = torch.tensor([[mu]], dtype=torch.float64)
    settings = {"schedule": name, "steps": steps, "variance": "posterior"}
    sampler = exact(one, torch.ones(1).double(), std, **settings)
    actions = draw(sampler, rows)
    deviation = math.sqrt(variance)
    assert abs(mean) + 4 * deviation < 1  # so that the last clamp does nothing
    assert actions.mean().item() == pytest.approx(mean, abs=4 * deviation / math.sqrt(rows))
    assert actions.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * rows))


@pytest.mark.parametrize("name", ["linear", "cosine", "vp"])
def test_predicting_noise_and_predicting_the_action_are_the_same_chain(name):
    by_noise = draw(exact(schedule=name, steps=20, predict="noise"), 100)
    by_action = draw(exact(schedule=name, steps=20, predict="x0"), 100)
    torch.testing.assert_close(by_noise, by_action, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("predict", ["noise", "x0"])
def test_clean_actions_are_clipped_where_asked(predict):
    x, output = torch.randn(50, 2).double(), 10 * torch.randn(50, 2).double()
    clipped = ddpm(2, steps=10, predict=predict)
    free = ddpm(2, steps=10, predict=predict, clip_denoised=False)
    for t in range(10):
        assert float(clean(free, x, output, t).abs().max()) > 1.0
        ours, limited = clean(clipped, x, output, t), clean(free, x, output, t).clamp(-1, 1)
        assert torch.equal(ours, limited)


def test_actions_stay_in_bounds_even_if_nothing_clips_on_the_way():
    sampler = ddpm(2, lambda x, t: 3.0 * torch.ones_like(x), predict="x0", clip_denoised=False)
    assert torch.equal(draw(sampler, 10), torch.ones(10, 2).double())


def test_a_known_action_is_what_the_chain_ends_at():
    sampler = ddpm(2, lambda x, t: torch.full_like(x, -0.25), predict="x0", steps=7)
    torch.testing.assert_close(draw(sampler, 10), torch.full((10, 2), -0.25).double())


def test_nll_is_zero_for_the_exact_noise_of_one_action():
    action = torch.tensor([[0.3, -0.6]]).double()
    settings = {"schedule": "vp", "steps": 10}

    def output(x, t):
        kept = sampler.process.sqrt_alphas_cumprod[t][:, None]
        return (x - kept * action) / sampler.process.sqrt_one_minus_alphas_cumprod[t][:, None]

    sampler = ddpm(2, output, **settings)
    rows = sampler.nll(torch.zeros(64, 1).double(), action.expand(64, 2), noise())
    torch.testing.assert_close(rows, torch.zeros(64).double(), atol=1e-20, rtol=0)


@pytest.mark.parametrize("predict", ["noise", "x0"])
def test_nll_is_the_mean_or_the_sum_of_squared_errors(predict):
    actions, observations = torch.rand(5, 3).double(), torch.zeros(5, 1).double()
    silent = {"function": lambda x, t: torch.zeros_like(x), "predict": predict}
    total = ddpm(3, reduction="sum", **silent).nll(observations, actions, noise())
    mean = ddpm(3, reduction="mean", **silent).nll(observations, actions, noise())
    torch.testing.assert_close(total, 3 * mean)
    own = noise()
    own.uniform(5)
    aim = own.normal(5, 3) if predict == "noise" else actions
    torch.testing.assert_close(total, aim.square().sum(-1))


def test_times_of_the_nll_are_uniform():
    seen = []

    def output(x, t):
        seen.append(t)
        return x

    ddpm(1, output, steps=4).nll(torch.zeros(8000, 1), torch.zeros(8000, 1), noise())
    counts = torch.bincount(seen[0], minlength=4)
    assert len(counts) == 4
    assert int((counts - 2000).abs().max()) < 4 * math.sqrt(8000 * 0.25 * 0.75)
