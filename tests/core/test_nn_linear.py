"""The linear layers against torch's, plainly and under every transform."""

import copy
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, jvp, stack_module_state, vmap

from zoo_core.nn import ConcatLinear, Linear, linear, linear_mish

# Torch's own forward-mode rules still go through torch.jit.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

# The package exports a function of the same name, which hides the module.
module = import_module("zoo_core.nn.linear")

has_onednn = hasattr(torch.ops.mkldnn, "_linear_pointwise")


@pytest.fixture(params=["native", "onednn"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each library in turn."""
    if request.param == "onednn" and not has_onednn:
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setenv("ZOO_LINEAR", request.param)
    module._onednn_wanted.cache_clear()
    yield request.param
    module._onednn_wanted.cache_clear()


def linear_then_mish(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `linear_mish` stands for, by torch."""
    return F.mish(F.linear(x, weight, bias))


PAIRS = [
    pytest.param(linear, F.linear, id="linear"),
    pytest.param(linear_mish, linear_then_mish, id="linear_mish"),
]
Layer = Callable[..., Tensor]


def tensors(*leading: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """An input [*leading, 4], a weight [3, 4] and a bias [3], all with gradients."""
    made = [torch.randn(*shape, dtype=dtype) for shape in ((*leading, 4), (3, 4), (3,))]
    return [tensor.requires_grad_() for tensor in made]


def assert_close(a: Tensor, b: Tensor) -> None:
    """Equal to 1e-6 (float32, of numbers of size 1 or so) or 1e-12 (float64)."""
    small = 2e-6 if a.dtype == torch.float32 else 1e-12
    torch.testing.assert_close(a, b, rtol=small, atol=small)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("leading", [(), (0,), (1,), (5,), (2, 5)])
@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_same_value_and_gradients_as_torch(
    library: str, ours: Layer, torchs: Layer, leading: tuple[int, ...], dtype: torch.dtype
) -> None:
    inputs = tensors(*leading, dtype=dtype)
    y, expected = ours(*inputs), torchs(*inputs)
    assert_close(y, expected)
    with torch.no_grad():
        assert_close(ours(*inputs), expected)
    g = torch.randn_like(y)
    for a, b in zip(
        torch.autograd.grad(y, inputs, g), torch.autograd.grad(expected, inputs, g), strict=True
    ):
        assert_close(a, b)


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_without_bias_and_with_strides(library: str, ours: Layer, torchs: Layer) -> None:
    x, weight = torch.randn(4, 6).t().requires_grad_(), torch.randn(4, 3).t().requires_grad_()
    y, expected = ours(x, weight), torchs(x, weight)
    torch.testing.assert_close(y, expected)
    for a, b in zip(
        torch.autograd.grad(y.sum(), [x, weight]),
        torch.autograd.grad(expected.sum(), [x, weight]),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_only_the_gradients_that_are_asked_for(library: str, ours: Layer, torchs: Layer) -> None:
    for asked in range(3):
        inputs = [t.detach().requires_grad_(i == asked) for i, t in enumerate(tensors(5))]
        y = ours(*inputs)
        torch.autograd.backward(y.sum())
        assert [t.grad is not None for t in inputs] == [i == asked for i in range(3)]


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_gradients_of_gradients(library: str, ours: Layer, torchs: Layer) -> None:
    inputs = tensors(5)

    def penalty(layer: Layer) -> Tensor:
        (g,) = torch.autograd.grad(layer(*inputs).square().sum(), inputs[0], create_graph=True)
        total: Tensor = (g.square().sum(-1).sqrt() - 1).square().sum()
        return total

    for a, b in zip(
        torch.autograd.grad(penalty(ours), inputs, materialize_grads=True),
        torch.autograd.grad(penalty(torchs), inputs, materialize_grads=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_gradcheck(ours: Layer, torchs: Layer) -> None:
    inputs = tensors(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(ours, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(ours, inputs)


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_a_graph_can_be_used_twice(library: str, ours: Layer, torchs: Layer) -> None:
    inputs = tensors(5)
    y = ours(*inputs).sum()
    first = torch.autograd.grad(y, inputs, retain_graph=True)
    second = torch.autograd.grad(y, inputs)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "dims",
    [
        (0, None, None),
        (1, None, None),
        (0, 0, 0),
        (None, 0, 0),
        (None, 1, None),
        (0, None, 0),
        (1, 2, 1),
    ],
)
@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_vmap_equals_the_loop(
    library: str,
    ours: Layer,
    torchs: Layer,
    dims: tuple[int | None, ...],
    dtype: torch.dtype,
) -> None:
    shapes = ((5, 4), (3, 4), (3,))
    inputs = [
        torch.randn(shape if dim is None else (*shape[:dim], 2, *shape[dim:]), dtype=dtype)
        for shape, dim in zip(shapes, dims, strict=True)
    ]

    def loss(*tensors: Tensor) -> Tensor:
        return ours(*tensors).square().sum()

    values, gradients = vmap(ours, dims)(*inputs), vmap(grad(loss, (0, 1, 2)), dims)(*inputs)
    through = grad(lambda *tensors: vmap(ours, dims)(*tensors).square().sum(), (0, 1, 2))(*inputs)
    for i in range(2):
        one = [t if d is None else t.select(d, i) for t, d in zip(inputs, dims, strict=True)]
        assert_close(values[i], torchs(*one))
        wanted = [t.clone().requires_grad_() for t in one]
        expected = torch.autograd.grad(torchs(*wanted).square().sum(), wanted)
        for ours_i, theirs in zip(gradients, expected, strict=True):
            torch.testing.assert_close(ours_i[i], theirs, rtol=1e-5, atol=1e-5)
    for gradient, per_copy, dim in zip(through, gradients, dims, strict=True):
        expected_all = per_copy.sum(0) if dim is None else per_copy.movedim(0, dim)
        torch.testing.assert_close(gradient, expected_all, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_directional_derivative(library: str, ours: Layer, torchs: Layer) -> None:
    inputs = tuple(t.detach() for t in tensors(5))
    tangents = tuple(torch.randn_like(t) for t in inputs)
    for a, b in zip(jvp(ours, inputs, tangents), jvp(torchs, inputs, tangents), strict=True):
        torch.testing.assert_close(a, b)
    x, dx = inputs[0], tangents[0]

    def in_x(layer: Layer, x: Tensor) -> Tensor:
        return layer(x, *inputs[1:])

    one, other = (jvp(partial(in_x, f), (x,), (dx,))[1] for f in (ours, torchs))
    torch.testing.assert_close(one, other)


def test_stacked_modules_as_the_vmap_engine_runs_them(library: str) -> None:
    nets = [nn.Sequential(Linear(4, 8), nn.ReLU(), Linear(8, 1)) for _ in range(3)]
    parameters, _ = stack_module_state(nets)
    x = torch.randn(3, 6, 4)

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = functional_call(nets[0], p, (x,))
        return output.square().mean()

    gradients, values = vmap(grad_and_value(loss))(parameters, x)
    for i, net in enumerate(nets):
        value = net(x[i]).square().mean()
        torch.autograd.backward(value)
        torch.testing.assert_close(values[i], value, rtol=1e-6, atol=1e-6)
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(gradients[name][i], parameter.grad, rtol=1e-5, atol=1e-6)


def test_linear_starts_as_torch_does() -> None:
    torch.manual_seed(0)
    ours = Linear(4, 3)
    torch.manual_seed(0)
    torchs = nn.Linear(4, 3)
    assert torch.equal(ours.weight, torchs.weight) and torch.equal(ours.bias, torchs.bias)
    assert torch.equal(Linear(4, 3, bias=False)(torch.zeros(4)), torch.zeros(3))
    torchs.load_state_dict(ours.state_dict())


def test_onednn_serves_where_it_is_asked_for_and_can_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, weight = torch.randn(256, 256), torch.randn(256, 256)
    for wanted in ("fast", "native", "onednn"):
        monkeypatch.setenv("ZOO_LINEAR", wanted)
        module._onednn_wanted.cache_clear()
        if wanted == "fast":
            with pytest.raises(ValueError, match="ZOO_LINEAR"):
                linear(x, weight)
            continue
        assert module._by_onednn(x, weight) == (wanted == "onednn" and has_onednn)
        assert not module._by_onednn(x.double(), weight.double())
    module._onednn_wanted.cache_clear()


class TestConcatLinear:
    def test_exported_with_inputs_that_differ_in_leading_ones_it_serves_any_batch(self) -> None:
        layer = ConcatLinear((3, 2), 4)
        inputs = {size: (torch.randn(size, 3), torch.randn(1, size, 2)) for size in (5, 7)}
        batch = torch.export.Dim("batch")
        graph = torch.export.export(layer, inputs[5], dynamic_shapes=(({0: batch}, {1: batch}),))
        # Twice: what the second reads is the first's graph, with the sizes that it fixed.
        traced = torch.jit.trace(graph.module(), inputs[5])
        torch.testing.assert_close(traced(*inputs[7]), layer(*inputs[7]))

    def test_is_linear_of_the_concatenation(self) -> None:
        layer = ConcatLinear((2, 3, 4), 5)
        parts = [torch.randn(6, size) for size in layer.sizes]
        torch.testing.assert_close(
            layer(*parts), F.linear(torch.cat(parts, -1), layer.weight, layer.bias)
        )
        kept = layer.part(1, parts[1], layer.bias) + layer.part(2, parts[2])
        torch.testing.assert_close(layer.part(0, parts[0]) + kept, layer(*parts))

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    def test_broadcasts(self, order: tuple[int, ...]) -> None:
        leading: list[tuple[int, ...]] = [(7, 6), (6,), ()]
        sizes = (2, 3, 4)
        layer = ConcatLinear(sizes, 5)
        parts = [torch.randn(*leading[i], size) for i, size in zip(order, sizes, strict=True)]
        together = torch.cat([part.expand(7, 6, -1) for part in parts], -1)
        torch.testing.assert_close(layer(*parts), F.linear(together, layer.weight, layer.bias))
        torch.autograd.backward(layer(*parts).square().sum())
        other = copy.deepcopy(layer)
        other.zero_grad()
        expected = F.linear(together, other.weight, other.bias)
        torch.autograd.backward(expected.square().sum())
        torch.testing.assert_close(layer.weight.grad, other.weight.grad, rtol=1e-4, atol=1e-4)

    def test_leading_ones_are_no_repetition(self) -> None:
        layer = ConcatLinear((2, 3), 5)
        a, o = torch.randn(1, 6, 2), torch.randn(6, 3)
        together = layer.concatenated(a, o)
        assert together is not None and together.shape == (1, 6, 5)
        assert layer.concatenated(a.expand(2, 6, 2), o) is None

    def test_refuses_other_inputs(self) -> None:
        layer = ConcatLinear((2, 3), 5)
        with pytest.raises(ValueError, match=r"\[2, 3\]"):
            layer(torch.randn(6, 5))


@pytest.mark.skipif(not has_onednn, reason="this torch has no oneDNN")
def test_a_part_of_a_wider_weight_costs_no_more_than_a_copy_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The operator itself takes a thousand times as long with gaps between a weight's rows."""
    monkeypatch.setattr(module, "_by_onednn", lambda x, weight: True)
    wide, x = torch.randn(128, 64), torch.randn(1024, 32, requires_grad=True)

    def seconds(weight: Tensor) -> float:
        def once() -> float:
            began = time.perf_counter()
            (gradient,) = torch.autograd.grad(linear(x, weight).sum(), x)
            # Sums of 128 numbers, in two orders.
            torch.testing.assert_close(gradient, weight.sum(0).expand_as(x), rtol=1e-5, atol=1e-5)
            return time.perf_counter() - began

        return min(once() for _ in range(3))

    assert seconds(wide[:, 32:]) < 20 * seconds(wide[:, 32:].clone())
