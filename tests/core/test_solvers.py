"""Solvers and processes against closed forms, and one trained denoiser under each solver."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from zoo_core import Act, GeneratorNoise, Solver, Space, Trainer, ZooError, resolve
from zoo_core.builtin.guided import Guided, GuidedConfig
from zoo_core.diffusion import (
    ContinuousProcess,
    Ddim,
    Ddpm,
    DiscreteProcess,
    DpmSolver,
    Prediction,
)
from zoo_core.diffusion.process import half_log_snr
from zoo_core.nn import betas
from zoo_core.testing import toy_data

MEANS = torch.tensor([-0.6, 0.1, 0.7], dtype=torch.float64)
WEIGHTS = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
STD = 0.3
PROCESSES = {
    "continuous": ContinuousProcess(),
    "vp": DiscreteProcess(betas("vp", 1000)),
    "linear": DiscreteProcess(betas("linear", 100)),
    "cosine": DiscreteProcess(betas("cosine", 20)),
}


def noise(seed=0):
    return GeneratorNoise(torch.Generator().manual_seed(seed), torch.float64)


def exact_noise(process, times):
    """E[epsilon | x_t] by position, for data from the mixture of Gaussians above."""

    def network(x, k):
        alpha = math.exp(process.log_alpha(times[k]))
        variance = (alpha * STD) ** 2 + 1 - alpha**2
        offsets = x[..., None] - alpha * MEANS
        posterior = (WEIGHTS.log() - 0.5 * offsets.square() / variance).softmax(-1)
        return math.sqrt(1 - alpha**2) / variance * (posterior * offsets).sum(-1)

    return network


def solved(process, solver, x):
    return solver.solve(
        Prediction(process, solver.times, exact_noise(process, solver.times)), x, noise()
    )


EVERY = pytest.mark.parametrize(
    ("order", "method", "expand"),
    [
        (order, method, expand)
        for order in (1, 2, 3)
        for method in ("singlestep", "multistep")
        for expand in ("noise", "x0")
    ],
)
# Of the form 3 k + 2, so that a singlestep of the third order ends with one of the second.
CALLS = [242, 482]


def dpm(process, steps, order, method, expand, **more):
    settings = {"order": order, "method": method, "expand": expand, "spacing": "log_snr", **more}
    return DpmSolver(process, Solver(name="dpm_solver", steps=steps, **settings))


def slope(errors):
    return math.log(errors[-2] / errors[-1]) / math.log(CALLS[-1] / CALLS[-2])


@EVERY
def test_error_on_a_mixture_falls_with_the_order_claimed(order, method, expand):
    """Against the same ODE in 4,001 calls. The first two steps of the third multistep are
    of lower order, so that it falls with the second here; the next test is where they are exact."""
    process = PROCESSES["continuous"]
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    truth = solved(process, dpm(process, 4001, 3, "singlestep", "noise", end=1e-2), x)
    errors = [
        float((solved(process, dpm(process, n, order, method, expand, end=1e-2), x) - truth).norm())
        for n in CALLS
    ]
    claimed = min(order, 2) if method == "multistep" else order
    assert slope(errors) > claimed - 0.3, errors


@EVERY
def test_error_of_an_integral_falls_with_the_order_claimed(order, method, expand):
    """A prediction exp(-lambda^2) that depends on the time alone, and not at all at the start:
    the variation of constants gives the solution as an integral, here by quadrature."""
    process = PROCESSES["continuous"]
    x = torch.tensor([0.7], dtype=torch.float64)
    end = 1e-2
    snr = half_log_snr(process, 1.0), half_log_snr(process, end)
    sign = 1.0 if expand == "x0" else -1.0
    integral, _ = integrate.quad(lambda at: math.exp(sign * at - at**2), *snr, epsabs=1e-13)
    alphas = [math.exp(process.log_alpha(t)) for t in (1.0, end)]
    kept = [math.sqrt(1 - a**2) for a in alphas] if expand == "x0" else alphas
    truth = kept[1] / kept[0] * 0.7 + sign * kept[1] * integral
    errors = []
    for calls in CALLS:
        solver = dpm(process, calls, order, method, expand, end=end)

        def network(x, k, times=solver.times):
            return torch.full_like(x, math.exp(-(half_log_snr(process, times[k]) ** 2)))

        prediction = Prediction(process, solver.times, network, expand)
        errors.append(abs(float(solver.solve(prediction, x, noise())) - truth))
    assert slope(errors) > order - 0.3, errors


def test_the_reference_itself_transports_the_gaussian_to_the_data():
    """One Gaussian: the ODE maps x_1 to mean + (x_1 - alpha_1 mean) * ratio of deviations."""
    process = PROCESSES["continuous"]
    solver = DpmSolver(process, Solver(name="dpm_solver", steps=3000, order=3, spacing="log_snr"))
    mean, std = 0.4, 0.2

    def deviation(t):
        alpha = math.exp(process.log_alpha(t))
        return alpha, math.sqrt((alpha * std) ** 2 + 1 - alpha**2)

    def network(x, k):
        alpha, spread = deviation(solver.times[k])
        return math.sqrt(1 - alpha**2) * (x - alpha * mean) / spread**2

    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    (alpha_1, spread_1), (alpha_0, spread_0) = deviation(1.0), deviation(process.first)
    expected = alpha_0 * mean + (x - alpha_1 * mean) * spread_0 / spread_1
    actual = solver.solve(Prediction(process, solver.times, network), x, noise())
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("expand", ["noise", "x0"])
def test_ddim_is_the_first_order_up_to_its_last_step(expand):
    process = PROCESSES["vp"]
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    ddim = Ddim(process, steps=20, spacing="time")
    settings = {"spacing": "time", "end": ddim.times[-1]}
    first = DpmSolver(
        process, Solver(name="dpm_solver", steps=19, order=1, expand=expand, **settings)
    )
    prediction = Prediction(process, ddim.times, exact_noise(process, ddim.times))
    assert first.grid == pytest.approx(ddim.times)
    expected = prediction.clean(solved(process, first, x), 19)
    torch.testing.assert_close(solved(process, ddim, x), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["vp", "linear", "cosine"])
def test_ddim_with_all_steps_and_eta_1_is_ddpm(name):
    process = PROCESSES[name]
    x = noise(3).normal(500)
    torch.testing.assert_close(
        solved(process, Ddim(process, eta=1.0), x),
        solved(process, Ddpm(process, Solver(variance="posterior")), x),
        rtol=1e-7,
        atol=1e-9,
    )


@given(name=st.sampled_from(list(PROCESSES)), share=st.floats(0.0, 1.0))
def test_time_at_inverts_the_signal_to_noise_ratio(name, share):
    process = PROCESSES[name]
    t = process.first + share * (1.0 - process.first)
    assert process.time_at(half_log_snr(process, t)) == pytest.approx(t, rel=1e-6)


@pytest.mark.parametrize("name", list(PROCESSES))
def test_numbers_and_tensors_agree_on_alpha_and_sigma(name):
    process = PROCESSES[name]
    steps = getattr(process, "steps", 100)
    for step in range(0, steps, max(1, steps // 10)):
        t = (step + 1) / steps
        network_time = torch.tensor(process.network_time(t), dtype=torch.float64)
        if name != "continuous":
            assert network_time == step
            network_time = network_time.long()
        alpha, sigma = process.coefficients(network_time, torch.zeros((), dtype=torch.float64))
        assert float(alpha) == pytest.approx(math.exp(process.log_alpha(t)), rel=1e-12)
        assert float(alpha**2 + sigma**2) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("scale", "method"), [(1.0, "singlestep"), (2.5, "multistep")])
def test_guidance_by_a_linear_energy_shifts_a_gaussian(scale, method):
    """Prior N(mean, std^2) and log-density ratio b a: the result is N(mean + scale b std^2, std^2)
    where the intermediate energy is log E[exp(b a_0) | a_t] = b E[a_0 | a_t] + constant."""
    mean, std, b = -0.3, 0.2, 2.0
    config = GuidedConfig(steps=60, order=2, method=method, clip=False, spacing="log_snr")
    sampler = Guided(config, Space(1, 1)).double()
    process = sampler.prior.process

    def moments(t):
        log_alpha = -0.25 * t**2 * 19.9 - 0.05 * t
        alpha = log_alpha.exp()
        return alpha, (alpha * std) ** 2 + 1 - alpha**2

    class Score(torch.nn.Module):
        def conditioned(self, observations, times):
            def network(x, k):
                alpha, variance = moments(times[k])
                return (1 - alpha**2).sqrt() * (x - alpha * mean) / variance

            return network

    class LinearEnergy(torch.nn.Module):
        def conditioned(self, observations, times):
            def energy(actions, k):
                alpha, variance = moments(times[k])
                expected = mean + alpha * std**2 / variance * (actions[..., 0] - alpha * mean)
                return b * expected

            return energy

    sampler.prior.denoiser, sampler.energy = Score(), LinearEnergy()
    rows = 4000
    actions = sampler.sample_scaled(torch.zeros(rows, 1).double(), noise(), 1, scale)[0, :, 0]
    assert float(actions.mean()) == pytest.approx(mean + scale * b * std**2, abs=0.015)
    assert float(actions.std()) == pytest.approx(std, abs=0.01)
    assert process.first == 1e-3


def test_the_energys_parts_make_the_energy() -> None:
    energy = guided_of_random_weights().energy
    o, a = torch.randn(6, 4).double(), torch.randn(3, 6, 2).double()
    times = torch.tensor([0.9, 0.2]).double()
    kept = energy.conditioned(o, times)
    for k, t in enumerate(times):
        torch.testing.assert_close(kept(a, k), energy(o, a, t))


def test_guided_samples_have_the_same_gradients_however_the_energys_is_taken() -> None:
    sampler = guided_of_random_weights()
    o = torch.randn(6, 4).double()
    weight = sampler.energy.net.rest[-1].weight

    def spread(weight):
        named = {f"energy.net.rest.{len(sampler.energy.net.rest) - 1}.weight": weight}
        draw = (o, noise(), 1)
        return torch.func.functional_call(sampler, named, draw).square().sum()

    sampler.forward = sampler.sample
    expected = torch.func.grad(spread)(weight)
    found = torch.autograd.grad(spread(weight), weight)[0]
    assert float(expected.detach().abs().max()) > 0.0
    torch.testing.assert_close(found, expected)


def guided_of_random_weights() -> Guided:
    config = GuidedConfig(network="unet", hidden=16, energy_hidden=8, steps=3, clip=False)
    return Guided(config, Space(4, 2)).double()


SOLVERS = {
    "ddpm": Solver(name="ddpm"),
    "ddim": Solver(name="ddim", steps=5),
    "first": Solver(name="dpm_solver", steps=8, order=1),
    "second": Solver(name="dpm_solver", steps=8, order=2, method="singlestep", expand="noise"),
    "third": Solver(name="dpm_solver", steps=8, order=3),
}


@pytest.fixture(scope="module")
def cloned():
    """Diffusion-BC-like cloning of a single action, trained with 20 steps of DDPM."""
    data = toy_data()
    data.actions[:] = torch.tensor([0.5, -0.25])
    recipe = resolve(
        "diffusion_bc",
        ["steps=400", "sampler.steps=20", "sampler.hidden=32", "lr=5e-3", "batch_size=64"],
    )
    return Trainer(recipe, data).run().agent()


@pytest.mark.parametrize("name", list(SOLVERS))
def test_one_trained_denoiser_is_sampled_by_each_solver(cloned, name):
    act = cloned.recipe.acts[0].updated({"solver": SOLVERS[name], "name": name})
    cloned.recipe, before = replace(cloned.recipe, acts=(act,)), cloned.recipe
    try:
        actions = cloned.act(
            torch.zeros(64, 3), GeneratorNoise(torch.Generator().manual_seed(0)), name
        )
    finally:
        cloned.recipe = before
    assert float((actions - torch.tensor([0.5, -0.25])).abs().mean()) < 0.2


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        ("ddim", ["sampler.trained_steps=20", "sampler.steps=5"]),
        ("dpm_solver", ["sampler.schedule=vp", "sampler.trained_steps=20", "sampler.steps=6"]),
    ],
)
def test_a_denoiser_trained_by_ddpm_loads_into_another_sampler(cloned, sampler, settings):
    recipe = resolve("diffusion_bc", [f"sampler={sampler}", "sampler.hidden=32", *settings])
    other = recipe.parts["sampler"].build(cloned.space)
    other.load_state_dict(cloned.part("sampler").state_dict())
    with torch.no_grad():
        actions = other.sample(torch.zeros(64, 3), GeneratorNoise(torch.Generator().manual_seed(0)))
    assert float((actions - torch.tensor([0.5, -0.25])).abs().mean()) < 0.2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sampler.order=4", "sampler.order: input should be 1, 2 or 3 (got 4)"),
        ("sampler.steps=0", "sampler.steps: input should be greater than 0 (got 0)"),
        ("sampler.end=1.5", "sampler.end: input should be less than 1 (got 1.5)"),
        (
            "sampler.method=adaptive",
            "sampler.method: input should be 'singlestep' or 'multistep' (got 'adaptive')",
        ),
        ("sampler.steps=1", "sampler: steps must be at least the order, 2 (got 1)"),
        (
            "sampler.end=1e-12",
            "sampler: end must not lie before trained_from, 0.001 (got 1e-12)",
        ),
        (
            'acts.sample.solver={"name": "dpm_solver", "end": 1e-12}',
            "acts.sample.solver: end must not lie before the minimum time of training, 0.001 (got "
            "1e-12)",
        ),
    ],
)
def test_settings_outside_their_meaning_are_refused_by_name(setting, message):
    with pytest.raises(ZooError) as caught:
        resolve("diffusion_bc", ["sampler=dpm_solver", setting])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sampler.trained_steps=1", "at least 2"),
        ("sampler.end=0.001", "end must not lie before the first step's time, 1 / 20"),
    ],
)
def test_a_solver_stays_within_the_steps_that_were_trained(setting, message):
    steps = [] if "trained_steps" in setting else ["sampler.trained_steps=20"]
    with pytest.raises(ZooError, match=message):
        resolve("diffusion_bc", ["sampler=dpm_solver", "sampler.schedule=vp", *steps, setting])


def test_an_act_takes_a_solver_or_a_scale():
    with pytest.raises(ValueError, match="not both"):
        Act(solver=Solver(), scale=1.0)


def test_ddpm_refuses_a_process_without_steps():
    recipe = resolve("diffusion_bc", ["sampler=dpm_solver"])
    sampler = recipe.parts["sampler"].build(Space(2, 2))
    with pytest.raises(ValueError, match="process in steps"):
        sampler.sample_with(Solver(name="ddpm"), torch.zeros(1, 2), noise())


def test_the_authors_third_multistep_is_of_the_second_order():
    process = PROCESSES["continuous"]
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    truth = solved(process, dpm(process, 4001, 3, "singlestep", "noise", end=1e-2), x)
    errors = {
        halve: float(
            (
                solved(
                    process,
                    dpm(process, 482, 3, "multistep", "x0", end=1e-2, halve_curvature=halve),
                    x,
                )
                - truth
            ).norm()
        )
        for halve in (False, True)
    }
    assert errors[False] < 0.5 * errors[True]
