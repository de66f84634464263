"""Mish: the value and every derivative, everywhere, under every transform."""

import math
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, jvp, vmap

from zoo_core.nn import Mish, mish

# Torch's own forward-mode rules still go through torch.jit.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

# The package exports a function of the same name, which hides the module.
module = import_module("zoo_core.nn.mish")

DTYPES = [torch.float32, torch.float64]


def exact(x: float) -> tuple[float, float]:
    """Mish and its derivative from the definition, in float64 without cancellation."""
    softplus = max(x, 0.0) + math.log1p(math.exp(-abs(x)))
    t = math.tanh(softplus)
    sigmoid = 1 / (1 + math.exp(-x)) if x > -700 else 0.0
    sech_squared = 1 / math.cosh(min(softplus, 350.0)) ** 2
    return x * t, t + x * sech_squared * sigmoid


@pytest.mark.parametrize("dtype", DTYPES)
def test_value_and_derivative_are_accurate_everywhere(dtype: torch.dtype) -> None:
    points = torch.cat([torch.linspace(-100, 100, 4001), torch.linspace(-3, 3, 1001)])
    x = points.to(dtype).requires_grad_()
    y = mish(x)
    (derivative,) = torch.autograd.grad(y.sum(), x)
    expected = torch.tensor([exact(v) for v in x.tolist()], dtype=torch.float64)
    tolerance = 16 * torch.finfo(dtype).eps
    # Relative: the values of the left tail are right too, down to where exp leaves float32's range.
    torch.testing.assert_close(y.double(), expected[:, 0], rtol=tolerance, atol=2e-36)
    torch.testing.assert_close(derivative.double(), expected[:, 1], rtol=tolerance, atol=tolerance)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_any_float_gives_what_torch_gives(value: float) -> None:
    ours = torch.tensor([value], requires_grad=True)
    torchs = torch.tensor([value], requires_grad=True)
    torch.autograd.backward([mish(ours), F.mish(torchs)])
    torch.testing.assert_close(mish(ours), F.mish(torchs), rtol=1e-5, atol=1e-6)
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, torchs.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_extremes(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    x = torch.tensor([largest, math.inf, -largest, math.nan], dtype=dtype, requires_grad=True)
    y = mish(x)
    (derivative,) = torch.autograd.grad(y.sum(), x)
    assert y[:3].tolist() == [largest, math.inf, 0.0]
    assert derivative[:3].tolist() == [1.0, 1.0, 0.0]
    assert y[3].isnan() and derivative[3].isnan()


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_any_shape_and_without_gradients_the_same_bits(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    before = x.clone()
    with torch.no_grad():
        plain = mish(x)
    assert plain.shape == x.shape
    assert torch.equal(plain, mish(x.requires_grad_()).detach())
    assert torch.equal(x, before)


def test_pieces_for_the_cache_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1000, requires_grad=True)
    whole = mish(x)
    (derivative,) = torch.autograd.grad(whole.sum(), x)
    monkeypatch.setattr(module, "_CHUNK", 64)
    pieces = mish(x)
    torch.testing.assert_close(pieces, whole, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(torch.autograd.grad(pieces.sum(), x)[0], derivative)
    torch.testing.assert_close(mish(x.detach()), whole.detach(), rtol=1e-6, atol=1e-7)


def test_scratch_memory_is_bounded_and_survives_inference_mode() -> None:
    with torch.inference_mode():
        mish(torch.randn(77))
    mish(torch.randn(77))
    for size in range(1, 60):
        mish(torch.randn(size))
    assert len(module.scratch.rows) <= 16


def test_a_transposed_input() -> None:
    x = torch.randn(5, 7).t().requires_grad_()
    torch.testing.assert_close(mish(x), F.mish(x))
    torch.testing.assert_close(
        torch.autograd.grad(mish(x).sum(), x)[0], torch.autograd.grad(F.mish(x).sum(), x)[0]
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_types_are_left_to_torch(dtype: torch.dtype) -> None:
    x = torch.randn(5).to(dtype)
    assert torch.equal(mish(x), F.mish(x))


def test_gradcheck_and_second_derivatives() -> None:
    x = torch.tensor([-40.0, -3.0, -0.5, 0.0, 0.7, 4.0, 30.0], dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(mish, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(mish, x)


def test_third_derivative() -> None:
    x = torch.tensor(0.3, dtype=torch.float64)
    ours, torchs = (grad(grad(grad(f)))(x) for f in (mish, lambda v: v * F.softplus(v).tanh()))
    torch.testing.assert_close(ours, torchs)


def test_transforms() -> None:
    x = torch.randn(4, 5, dtype=torch.float64)
    reference = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(F.mish(reference).sum(), reference)

    def total(v: Tensor) -> Tensor:
        return mish(v).sum()

    for dim in (0, 1):
        torch.testing.assert_close(vmap(mish, dim, dim)(x), F.mish(x))
        torch.testing.assert_close(vmap(grad(total), dim, dim)(x), expected)
    torch.testing.assert_close(grad(lambda v: vmap(mish)(v).sum())(x), expected)
    torch.testing.assert_close(vmap(vmap(mish))(x), F.mish(x))
    torch.testing.assert_close(jvp(mish, (x,), (torch.ones_like(x),))[1], expected)
    with torch.no_grad():
        torch.testing.assert_close(grad(total)(x), expected)


def test_the_module() -> None:
    x = torch.randn(3)
    assert torch.equal(Mish()(x), mish(x))
