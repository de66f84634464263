"""MLP, ensemble, denoiser, dropout: structure, shapes, equality with plain torch, stacked seeds."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, stack_module_state, vmap

from zoo_core.nn import MLP, Activation, Denoiser, Dropout, Ensemble, widths

MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
}


class Uniform:
    """Noise from a generator."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)


def torchs(
    inputs: int, outputs: int, hidden: int, layers: int, activation: str, norm: bool
) -> nn.Sequential:
    """The same network of torch's own modules."""
    modules: list[nn.Module] = []
    for i in range(layers):
        modules.append(nn.Linear(hidden if i else inputs, hidden))
        if norm:
            modules.append(nn.LayerNorm(hidden))
        modules.append(MODULES[activation]())
    return nn.Sequential(*modules, nn.Linear(hidden if layers else inputs, outputs))


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@pytest.mark.parametrize("activation", MODULES)
def test_mlp_is_torchs_sequence(activation: Activation, layers: int, norm: bool) -> None:
    torch.manual_seed(0)
    ours = MLP(5, 2, hidden=8, layers=layers, activation=activation, layer_norm=norm)
    torch.manual_seed(0)
    theirs = torchs(5, 2, 8, layers, activation, norm)
    x = torch.randn(3, 7, 5, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x))
    (a,) = torch.autograd.grad(ours(x).square().sum(), x)
    (b,) = torch.autograd.grad(theirs(x).square().sum(), x)
    torch.testing.assert_close(a, b)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
    count = sum(p.numel() for p in theirs.parameters())
    assert sum(p.numel() for p in ours.parameters()) == count


def test_one_width_for_each_layer() -> None:
    mlp = MLP((2, 3), 1, hidden=(7, 5), layers=2, layer_norm=True)
    assert mlp.first.weight.shape == (7, 5)
    assert [tuple(p.shape) for p in mlp.rest.parameters()] == [(5, 7), (5,), (1, 5), (1,)]
    assert [tuple(norm.normalized_shape) for norm in mlp.norms] == [(7,), (5,)]
    assert mlp(torch.randn(4, 2), torch.randn(6, 4, 3)).shape == (6, 4, 1)
    with pytest.raises(ValueError, match="hidden has 2 widths for 3 layers"):
        MLP(2, 1, hidden=(7, 5), layers=3)
    assert widths(8, 3) == (8, 8, 8)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "mish"])
def test_mlp_of_several_inputs(activation: Activation, layers: int) -> None:
    torch.manual_seed(0)
    several = MLP((2, 3), 4, hidden=8, layers=layers, activation=activation)
    torch.manual_seed(0)
    one = MLP(5, 4, hidden=8, layers=layers, activation=activation)
    a, o = torch.randn(7, 6, 2), torch.randn(6, 3)
    expected = one(torch.cat([a, o.expand(7, 6, 3)], -1))
    torch.testing.assert_close(several(a, o), expected)
    torch.testing.assert_close(several(a, o.expand(7, 6, 3)), expected)
    kept = several.first.part(1, o, several.first.bias)
    torch.testing.assert_close(several.after_first(several.first.part(0, a) + kept), expected)


def test_mlp_refuses_an_unknown_activation() -> None:
    with pytest.raises(ValueError, match="no activation 'swish'"):
        MLP(1, 1, activation="swish")  # type: ignore[arg-type]


@pytest.mark.parametrize("activation", ["relu", "mish"])
def test_mlp_dropout(activation: Activation) -> None:
    net = MLP(5, 2, hidden=64, activation=activation, dropout=0.5)
    x = torch.randn(3, 5)
    assert torch.equal(net(x), net(x))
    assert torch.equal(net(x, noise=Uniform(0)), net(x, noise=Uniform(0)))
    assert not torch.equal(net(x, noise=Uniform(0)), net(x, noise=Uniform(1)))
    assert not torch.equal(net(x, noise=Uniform(0)), net(x))


def test_dropout() -> None:
    x = torch.ones(100, 100)
    dropped = Dropout(0.25)(x, Uniform(0))
    assert set(dropped.unique().tolist()) == {0.0, (x / 0.75)[0, 0].item()}
    assert 0.23 < (dropped == 0).float().mean() < 0.27
    assert Dropout(0.25)(x) is x and Dropout(0.0)(x, Uniform(0)) is x
    assert "0.25" in repr(Dropout(0.25))
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"\[0, 1\)"):
            Dropout(rate)


@pytest.mark.parametrize("activation", ["relu", "mish"])
def test_ensemble(activation: Activation) -> None:
    ensemble = Ensemble(3, (4, 2), 1, hidden=8, activation=activation, layer_norm=True)
    o, a = torch.randn(6, 4), torch.randn(7, 6, 2)
    q = ensemble(o, a)
    assert q.shape == (3, 7, 6, 1)
    for value, member in zip(q, ensemble.members, strict=True):
        assert torch.equal(value, member(o, a))
    assert len({next(member.parameters()).sum().item() for member in ensemble.members}) == 3
    with pytest.raises(ValueError, match="at least one"):
        Ensemble(0, 4, 1)


def test_ensemble_member_leaves_the_others_alone() -> None:
    ensemble = Ensemble(2, 4, 1, hidden=8, activation="mish")
    torch.autograd.backward(ensemble(torch.randn(6, 4))[0].sum())
    assert all(p.grad is None or not p.grad.any() for p in ensemble.members[1].parameters())


class TestDenoiser:
    def make(self, layers: int = 3) -> Denoiser:
        torch.manual_seed(0)
        return Denoiser(4, 2, hidden=8, layers=layers).double()

    @pytest.mark.parametrize("layers", [0, 1, 3])
    def test_is_the_concatenated_network(self, layers: int) -> None:
        net = self.make(layers)
        o, a = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
        t = torch.tensor([0, 1, 2, 3, 4, 4])
        together = torch.cat([a, net.time(t), o], -1)
        x = F.linear(together, net.net.first.weight, net.net.first.bias)
        for layer in net.net.rest:
            assert isinstance(layer, nn.Linear)
            x = F.linear(F.mish(x), layer.weight, layer.bias)
        torch.testing.assert_close(net(o, a, t), x)

    @pytest.mark.parametrize("layers", [0, 1, 3])
    def test_conditioned_is_the_same_function(self, layers: int) -> None:
        net = self.make(layers)
        o, a = torch.randn(6, 4, dtype=torch.float64), torch.randn(7, 6, 2, dtype=torch.float64)
        times = torch.tensor([4, 2, 0])
        kept, direct = net.conditioned(o, times), net.conditioned(o)
        for k, t in enumerate([4, 2, 0]):
            expected = net(o, a, torch.tensor(t))
            torch.testing.assert_close(kept(a, k), expected)
            torch.testing.assert_close(direct(a, t), expected)
            torch.testing.assert_close(direct(a, torch.tensor(t)), expected)
        torch.testing.assert_close(kept(a[0], 1), net(o, a[0], torch.full((6,), 2)))

    def test_gradients_through_a_chain(self) -> None:
        net = self.make()
        o, a = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)

        def by_rows() -> Tensor:
            x = a
            for t in (2, 1, 0):
                x = x - 0.1 * net(o, x, torch.full((6,), t))
            return x.square().sum()

        def conditioned() -> Tensor:
            x, f = a, net.conditioned(o, torch.arange(3))
            for t in (2, 1, 0):
                x = x - 0.1 * f(x, t)
            return x.square().sum()

        parameters = list(net.parameters())
        for one, other in zip(
            torch.autograd.grad(by_rows(), parameters),
            torch.autograd.grad(conditioned(), parameters),
            strict=True,
        ):
            torch.testing.assert_close(one, other)

    def test_guidance_inside_no_grad(self) -> None:
        net = self.make()
        o, a = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
        with torch.no_grad():
            f = net.conditioned(o, torch.arange(3))
            guidance = grad(lambda x: f(x, 1).square().sum())(a)
        x = a.clone().requires_grad_()
        (expected,) = torch.autograd.grad(net(o, x, torch.tensor(1)).square().sum(), x)
        torch.testing.assert_close(guidance, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stacked_seeds_equal_the_loop(dtype: torch.dtype) -> None:
    """The vmap engine: parameters, inputs and gradients of three seeds at once."""
    nets = [Denoiser(4, 2, hidden=8).to(dtype) for _ in range(3)]
    parameters, buffers = stack_module_state(nets)
    o, a = torch.randn(3, 6, 4, dtype=dtype), torch.randn(3, 6, 2, dtype=dtype)
    t = torch.randint(0, 5, (3, 6))

    def run(net: Denoiser, o: Tensor, a: Tensor, t: Tensor) -> Tensor:
        x, f = a, net.conditioned(o, torch.arange(2))
        for k in (1, 0):
            x = x - 0.1 * f(x, k)
        loss: Tensor = x.square().mean() + (net(o, a, t) - a).square().mean()
        return loss

    class Loss(nn.Module):
        def __init__(self, net: Denoiser) -> None:
            super().__init__()
            self.net = net

        def forward(self, o: Tensor, a: Tensor, t: Tensor) -> Tensor:
            return run(self.net, o, a, t)

    wrapped = Loss(nets[0])

    def loss(p: dict[str, Tensor], b: dict[str, Tensor], *inputs: Tensor) -> Tensor:
        named = {f"net.{name}": tensor for name, tensor in (p | b).items()}
        output: Tensor = functional_call(wrapped, named, inputs)
        return output

    gradients, values = vmap(grad_and_value(loss))(parameters, buffers, o, a, t)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    for i, net in enumerate(nets):
        value = run(net, o[i], a[i], t[i])
        torch.autograd.backward(value)
        torch.testing.assert_close(values[i], value, rtol=tolerance, atol=tolerance)
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(
                gradients[name][i], parameter.grad, rtol=10 * tolerance, atol=tolerance
            )
