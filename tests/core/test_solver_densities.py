"""Every sampler with a solver on a Gaussian: the law of its samples in closed form, no draw.

With the exact denoiser of N(mean, std^2) a sample is an affine function of the numbers drawn, so
that its mean and variance follow from its values where all of them are 0, and where one of them is
1.
"""

import math

import pytest
import torch
from torch import nn

from zoo_core import Noise, Solver, Space, ZooError, resolve
from zoo_core.builtin.ddim import DDIMConfig
from zoo_core.builtin.ddpm import DDPMConfig
from zoo_core.builtin.dpm_solver import DPMSolverConfig
from zoo_core.builtin.guided import Guided, GuidedConfig
from zoo_core.diffusion import DiffusionSampler

MEAN = 0.2
DEVIATIONS = (0.1, 0.3, 0.6)
ROWS = 1100
"""More than a sample draws numbers."""


class Units(Noise):
    """Zeros for row 0; for row i all but the i-th number is 0."""

    def __init__(self):
        self.drawn = 0

    def normal(self, *shape):
        self.drawn += 1
        numbers = torch.zeros(shape, dtype=torch.float64)
        numbers[..., self.drawn, :] = 1.0
        return numbers

    def uniform(self, *shape):
        raise AssertionError("no solver draws these")


class Exact(nn.Module):
    """E[epsilon | x_t] of N(mean, std^2), at the times that the solver visits."""

    def __init__(self, process, solver, std, mean=MEAN):
        super().__init__()
        self.process, self.solver, self.std, self.mean = process, solver, std, mean

    def conditioned(self, observations, times):
        def network(x, k):
            alpha = math.exp(self.process.log_alpha(self.solver.times[k]))
            variance = (alpha * self.std) ** 2 + 1 - alpha**2
            return math.sqrt(1 - alpha**2) / variance * (x - alpha * self.mean)

        return network


class LinearEnergy(Exact):
    """log E[exp(slope x_0) | x_t] up to a constant."""

    def conditioned(self, observations, times):
        def energy(x, k):
            alpha = math.exp(self.process.log_alpha(self.solver.times[k]))
            variance = (alpha * self.std) ** 2 + 1 - alpha**2
            return alpha * self.std**2 / variance * (x[..., 0] - alpha * self.mean)

        return energy


def law(samples):
    """Mean and deviation from a function of observations and noise."""
    values = samples(torch.zeros(ROWS, 1).double(), Units())[0, :, 0]
    return float(values[0]), float((values[1:] - values[0]).norm())


def error(config, std, solver=None):
    """Errors of the mean, and of the deviation as a share, for a sampler's settings."""
    sampler = DiffusionSampler(config, Space(1, 1)).double()
    chosen = sampler.own_solver if solver is None else sampler.solver(solver)
    sampler.denoiser = Exact(sampler.process, chosen, std)
    if solver is None:
        mean, deviation = law(lambda o, noise: sampler.sample(o, noise))
    else:
        mean, deviation = law(lambda o, noise: sampler.sample_with(solver, o, noise))
    return abs(mean - MEAN), deviation / std - 1.0


LONG = [
    {},
    *({"schedule": name, "trained_steps": 1000} for name in ("vp", "linear", "cosine")),
]
named = pytest.mark.parametrize("process", LONG, ids=lambda p: p.get("schedule", "default"))
BOUNDS = {5: 0.30, 10: 0.07, 15: 0.05, 20: 0.03}
"""Maximum error of a deviation by network calls, as the settings document it."""


@pytest.mark.parametrize("std", DEVIATIONS)
@named
@pytest.mark.parametrize("steps", [None, *BOUNDS])
def test_dpm_solver_reproduces_a_gaussian(process, steps, std):
    own = {} if steps is None else {"steps": steps}
    mean, deviation = error(DPMSolverConfig(**process, **own), std)
    assert mean < 0.01
    assert abs(deviation) < BOUNDS[steps or 15]


@pytest.mark.parametrize("scale", [0.0, 2.0])
@named
@pytest.mark.parametrize("steps", [None, *BOUNDS])
def test_guided_shifts_a_gaussian(process, steps, scale):
    """The density is tilted by exp(scale a), which moves the mean by scale std^2."""
    own, std = {} if steps is None else {"steps": steps}, 0.3
    sampler = Guided(GuidedConfig(**process, **own), Space(1, 1)).double()
    prior = sampler.prior
    prior.denoiser = Exact(prior.process, prior.own_solver, std)
    sampler.energy = LinearEnergy(prior.process, prior.own_solver, std)
    mean, deviation = law(lambda o, noise: sampler.sample_scaled(o, noise, 1, scale))
    assert mean == pytest.approx(MEAN + scale * std**2, abs=0.02)
    assert abs(deviation / std - 1.0) < BOUNDS[steps or 15]


DDIM_BOUNDS = {5: 0.40, 10: 0.21, 15: 0.15, 20: 0.13, 100: 0.12}


@pytest.mark.parametrize(
    "process",
    [
        {},
        {"schedule": "cosine"},
        *({"schedule": name, "trained_steps": 1000} for name in ("vp", "linear", "cosine")),
    ],
    ids=str,
)
@pytest.mark.parametrize("steps", [None, *DDIM_BOUNDS])
def test_ddim_reproduces_a_gaussian(process, steps):
    own = {} if steps is None else {"steps": steps}
    for std in DEVIATIONS:
        for config, solver in (
            (DDIMConfig(**process, **own), None),
            (DDIMConfig(**process), Solver(name="ddim", steps=steps or 20)),
        ):
            mean, deviation = error(config, std, solver)
            assert mean < 0.02
            assert abs(deviation) < DDIM_BOUNDS[steps or 20]


def test_ddim_in_continuous_time_reproduces_a_gaussian():
    for std in DEVIATIONS:
        assert abs(error(DPMSolverConfig(), std, Solver(name="ddim"))[1]) < 0.05


DDPM_BOUNDS = {5: 0.27, 10: 0.08, 15: 0.07, 20: 0.06, 100: 0.03}


@pytest.mark.parametrize("std", [0.3, 0.6])
@pytest.mark.parametrize("schedule", ["vp", "cosine"])
@pytest.mark.parametrize("steps", [None, *DDPM_BOUNDS])
def test_ddpm_reproduces_a_gaussian(schedule, steps, std):
    own = {} if steps is None else {"steps": steps}
    for config, solver in (
        (DDPMConfig(schedule=schedule, **own), None),
        (DDPMConfig(schedule=schedule, **own), Solver()),
    ):
        mean, deviation = error(config, std, solver)
        assert mean < 0.01
        assert abs(deviation) < DDPM_BOUNDS[steps or 20]


def test_ddpm_with_linear_betas_reproduces_a_gaussian_in_a_thousand_steps():
    for std in DEVIATIONS:
        assert abs(error(DDPMConfig(schedule="linear", steps=1000), std)[1]) < 0.02


@pytest.mark.parametrize(("variance", "deviation"), [("posterior", 0.141), ("beta", 0.222)])
def test_the_five_steps_of_the_papers_are_too_narrow(variance, deviation):
    """The deviations that the docstring of `steps` gives for Diffusion-QL's and IDQL's chains."""
    ours = 0.3 * (1.0 + error(DDPMConfig(steps=5, variance=variance), 0.3)[1])
    assert ours == pytest.approx(deviation, abs=1e-3)


@pytest.mark.parametrize("std", [0.1, 0.3])
@pytest.mark.parametrize("trained", [2, 5, 20])
@pytest.mark.parametrize(
    ("method", "schedule", "spacing"),
    [
        ("multistep", "vp", "cubic"),
        ("multistep", "cosine", "log_snr"),
        ("singlestep", "vp", "time"),
        ("singlestep", "vp", "log_snr"),
    ],
)
def test_a_short_chain_ends_with_the_clean_action(spacing, method, trained, schedule, std):
    """The ODE, solved well, leaves N(alpha mean', alpha^2 std^2 + sigma^2) at the first time; the
    clean action there has the deviation alpha std^2 / sqrt(alpha^2 std^2 + sigma^2)."""
    config = DPMSolverConfig(
        schedule=schedule, trained_steps=trained, steps=200, spacing=spacing, method=method
    )
    process = DiffusionSampler(config, Space(1, 1)).process
    alpha = math.exp(process.log_alpha(process.first))
    clean = alpha * std**2 / math.sqrt(alpha**2 * std**2 + 1 - alpha**2)
    _, deviation = error(config, std)
    first = math.exp(process.log_alpha(1.0))
    # The start is N(0, 1) where the process has alpha^2 std^2 + sigma^2.
    start = math.sqrt(first**2 * std**2 + 1 - first**2)
    assert std * (1.0 + deviation) == pytest.approx(clean / start, rel=0.03)
    assert std * (1.0 + deviation) < std * 1.05


def test_the_last_call_is_for_the_clean_action_where_noise_would_be_left():
    def ends(**settings):
        sampler = DiffusionSampler(DPMSolverConfig(**settings), Space(1, 1))
        return sampler.own_solver.denoise_to_zero

    assert ends(schedule="vp", trained_steps=5)
    assert ends(schedule="vp", trained_steps=100)
    assert ends(trained_from=0.1)
    assert not ends()
    assert not ends(schedule="vp")
    # An end that is asked for is where the sample is.
    assert not ends(end=0.1)
    assert ends(end=0.1, denoise_to_zero=True)
    assert not ends(schedule="vp", trained_steps=5, denoise_to_zero=False)


@pytest.mark.parametrize("method", ["singlestep", "multistep"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("steps", [3, 4, 5, 10])
@pytest.mark.parametrize("zero", [False, True])
def test_the_network_is_called_as_often_as_steps_say(method, order, steps, zero):
    config = DPMSolverConfig(method=method, order=order, steps=steps, denoise_to_zero=zero)
    assert len(DiffusionSampler(config, Space(1, 1)).own_solver.times) == steps


@pytest.mark.parametrize("method", ["singlestep", "multistep"])
def test_a_single_call_for_the_clean_action_gives_the_mean(method):
    settings = {"order": 1, "steps": 1, "method": method, "denoise_to_zero": True}
    config = DPMSolverConfig(schedule="vp", **settings)
    assert DiffusionSampler(config, Space(1, 1)).own_solver.times == [1.0]
    mean, deviation = error(config, 0.3)
    assert mean < 0.01
    assert deviation < -0.9


@pytest.mark.parametrize("steps", [1, 2, 7, 19, 20])
@pytest.mark.parametrize("spacing", ["cubic", "log_snr", "time"])
def test_ddim_visits_different_whole_steps(steps, spacing):
    config = DDIMConfig(trained_steps=20, steps=steps, spacing=spacing)
    times = DiffusionSampler(config, Space(1, 1)).own_solver.times
    numbers = [20 * t for t in times]
    assert numbers == pytest.approx([round(n) for n in numbers])
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(numbers) == steps and numbers[0] == 20
    assert min(numbers) >= 1


@pytest.mark.parametrize(
    "settings",
    [
        ["sampler=ddim", "sampler.schedule=linear"],
        ["sampler=dpm_solver", "sampler.schedule=linear", "sampler.trained_steps=100"],
    ],
)
def test_a_schedule_that_does_not_reach_noise_is_refused(settings):
    with pytest.raises(ZooError, match="'linear' in 100 steps keeps 60% of the action"):
        resolve("diffusion_bc", settings)
    long = [*settings, "sampler.trained_steps=500"]
    assert resolve("diffusion_bc", long).values()["sampler.trained_steps"] == 500


@pytest.mark.parametrize("order", [2, 3])
def test_singlesteps_of_noise_from_almost_no_action_are_refused(order):
    """With an exact denoiser their deviation is 40 times too large, and more."""
    diverging = {"order": order, "method": "singlestep", "expand": "noise"}
    names = [f"sampler.{name}={value}" for name, value in diverging.items()]
    sampler = ["sampler=dpm_solver", "sampler.schedule=cosine"]
    with pytest.raises(ZooError, match=r"expand=noise .* schedule=cosine; set expand=x0"):
        resolve("bc", [*sampler, *names])
    resolve("bc", [*sampler, *names[:2]])
    for std in DEVIATIONS:
        for changes in ({"expand": "x0"}, {"method": "multistep"}, {"schedule": "vp"}):
            settings = {"schedule": "cosine", **diverging, **changes}
            assert abs(error(DPMSolverConfig(**settings), std)[1]) < 0.15
