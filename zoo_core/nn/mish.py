"""Mish (arXiv:1908.08681), with its derivative made in the same few passes as its value.

With u = exp(x) and h = u + u^2 / 2, the factor t = tanh(softplus(x)) is exactly h / (h + 1). So
Mish is x t, and its derivative is t + x (u + u^2) / (h + 1)^2, which is
t + 2 x (t - u / (2 (h + 1))) / (h + 1): one exponential, and a few products of numbers that the
value needs anyway. Nothing cancels, since u <= h, so both are as accurate as the arithmetic.
"""

import threading
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_core.nn.autograd import transformed
from zoo_core.nn.kernels import kernels, serves

# From here on t is exactly 1, and the square of the exponential is still finite.
_LARGEST = {torch.float32: 44.0, torch.float64: 350.0}

# Numbers per pass and thread: what a pass reads and writes then stays in the processor's cache.
_CHUNK = 65536

# Adding a tensor is quicker than adding a Python number, which torch wraps in one each time.
_ONE = torch.ones((), device="cpu")


class _Scratch(threading.local):
    """Working memory that stays warm in the cache, instead of fresh memory at every call."""

    def __init__(self) -> None:
        self.rows: dict[tuple[torch.dtype, int], tuple[Tensor, ...]] = {}

    def __call__(self, dtype: torch.dtype, size: int) -> tuple[Tensor, ...]:
        """Three flat tensors of that size; their content is anybody's until the next call."""
        rows = self.rows.get((dtype, size))
        if rows is None:
            if len(self.rows) >= 16:  # sizes are few, but nothing says so
                self.rows.clear()
            with torch.inference_mode(False):
                rows = torch.empty((3, size), dtype=dtype, device="cpu").unbind()
            self.rows[dtype, size] = rows
        return rows


scratch = _Scratch()


def chunk() -> int:
    """How many numbers one pass takes."""
    return _CHUNK * torch.get_num_threads()


def has_kernel(x: Tensor) -> bool:
    """Whether the kernels below are for such a tensor; `torch.nn.functional.mish` is, otherwise.

    Under `torch.func` too: there a function of our own costs more than it gains.
    """
    return x.dtype in _LARGEST and x.device.type == "cpu" and not transformed()


def write_value(x: Tensor, y: Tensor) -> None:
    """Write Mish(x) to y, plain contiguous tensors; y may be x."""
    if serves(x):
        kernels().value(y if y is x else y.copy_(x), None)
        return
    _in_chunks(_write_value, x, y)


def write_value_and_derivative(x: Tensor, y: Tensor, derivative: Tensor) -> None:
    """Write Mish(x) to y and Mish'(x) to derivative, plain contiguous tensors; y may be x."""
    if serves(x):
        kernels().value_and_derivative(y if y is x else y.copy_(x), None, derivative)
        return
    _in_chunks(_write_value_and_derivative, x, y, derivative)


def _in_chunks(kernel: Callable[..., None], *arrays: Tensor) -> None:
    size = chunk()
    flat = [array.view(-1) for array in arrays]
    if flat[0].shape[0] <= size:
        kernel(*flat, *scratch(flat[0].dtype, flat[0].shape[0]))
        return
    for pieces in zip(*(torch.split(array, size) for array in flat), strict=True):
        kernel(*pieces, *scratch(pieces[0].dtype, pieces[0].shape[0]))


def _write_value(x: Tensor, y: Tensor, u: Tensor, h: Tensor, _: Tensor) -> None:
    torch.clamp_max(x, _LARGEST[x.dtype], out=u).exp_()
    torch.addcmul(u, u, u, value=0.5, out=h)
    h_plus_1 = torch.add(h, _ONE, out=u)
    torch.mul(h.div_(h_plus_1), x, out=y)


def _write_value_and_derivative(
    x: Tensor, y: Tensor, derivative: Tensor, u: Tensor, h_plus_1: Tensor, bounded: Tensor
) -> None:
    torch.clamp_max(x, _LARGEST[x.dtype], out=bounded)
    torch.exp(bounded, out=u)
    h = torch.addcmul(u, u, u, value=0.5, out=derivative)
    torch.add(h, _ONE, out=h_plus_1)
    t = h.div_(h_plus_1)
    torch.mul(t, x, out=y)
    ratio = u.div_(h_plus_1)
    rest = torch.sub(t, ratio, alpha=0.5, out=ratio).mul_(bounded)
    t.addcdiv_(rest, h_plus_1, value=2.0)


def second_derivative(x: Tensor) -> Tensor:
    """Mish''(x), by operations that torch differentiates further."""
    s = torch.sigmoid(x)
    t = torch.tanh(F.softplus(x))
    return (1 - t * t) * s * (2 + x * (1 - s - 2 * t * s))


class MishWithDerivative(torch.autograd.Function):
    """x -> (Mish(x), Mish'(x)): the derivative is an output, so it can be differentiated too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mish(x) and Mish'(x)."""
        x = x.contiguous()
        y, derivative = torch.empty_like(x), torch.empty_like(x)
        write_value_and_derivative(x, y, derivative)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, derivative)
        return y, derivative

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Tensor | None:
        """The gradient of x."""
        x, derivative = ctx.saved_tensors
        of_value, of_derivative = gradients
        return through(of_value, of_derivative, derivative, lambda: x)


def through(
    of_value: Tensor | None,
    of_derivative: Tensor | None,
    derivative: Tensor,
    x: Callable[[], Tensor],
) -> Tensor | None:
    """The gradient of x from those of Mish(x) and of Mish'(x); None stands for zero."""
    gradient = None if of_value is None else of_value * derivative
    if of_derivative is None:
        return gradient
    more = of_derivative * second_derivative(x())
    return more if gradient is None else gradient + more


def mish(x: Tensor) -> Tensor:
    """Mish, x tanh(softplus(x)): what `torch.nn.functional.mish` computes, sooner on a CPU.

    Works under `torch.func` and can be differentiated any number of times.

    Args:
        x: Of any shape. Kernels of our own serve float32 and float64 on a CPU, torch's the rest.
    """
    if not has_kernel(x):
        return F.mish(x)
    if torch.is_grad_enabled() and x.requires_grad:
        return cast(Tensor, cast(Any, MishWithDerivative).apply(x)[0])
    x = x.contiguous()
    y = torch.empty_like(x)
    write_value(x, y)
    return y


class Mish(nn.Module):
    """`mish` as a module; see there."""

    def forward(self, x: Tensor) -> Tensor:
        """Mish of x, of any shape."""
        return mish(x)
