"""A layer and its Mish as one function: half the memory to fill, and one autograd node.

On one core a hidden layer spends about as long in fetching memory as in multiplying. So Mish
overwrites the product, its derivative is all that is kept besides the layer's input, and the
backward pass works in memory that is still in the cache.
"""

from typing import Any, cast

import torch
from torch import Tensor

from zoo_core.nn.kernels import kernels, serves
from zoo_core.nn.linear import linear, linear_backward
from zoo_core.nn.mish import (
    chunk,
    has_kernel,
    mish,
    scratch,
    through,
    write_value,
    write_value_and_derivative,
)


class _LinearMish(torch.autograd.Function):
    """(x, W, b) -> (Mish(z), Mish'(z)) where z = x W^T + b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        if bias is None or not serves(x):
            z = linear(x, weight, bias).contiguous()
            derivative = torch.empty_like(z)
            write_value_and_derivative(z, z, derivative)
        else:
            # The kernel adds the bias while it holds the product.
            z = linear(x, weight).contiguous()
            derivative = torch.empty_like(z)
            kernels().value_and_derivative(z, bias.contiguous(), derivative)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, bias, derivative)
        return z, derivative

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, bias, derivative = ctx.saved_tensors
        of_value, of_derivative = gradients
        if of_value is None and of_derivative is None:
            return None, None, None
        plain = not torch.is_grad_enabled()
        if plain and of_derivative is None and bias is not None and serves(x):
            of_value = cast(Tensor, of_value).contiguous()
            of_z = scratch(derivative.dtype, derivative.numel())[0].view(derivative.shape)
            of_bias = torch.empty_like(bias)
            kernels().backward(of_value, derivative, of_z, of_bias)
            needed = (*ctx.needs_input_grad[:2], False)
            return (*linear_backward(of_z, x, weight, needed)[:2], of_bias)
        if plain and of_derivative is None and derivative.numel() <= chunk():
            warm = scratch(derivative.dtype, derivative.numel())[0].view(derivative.shape)
            of_z = torch.mul(cast(Tensor, of_value), derivative, out=warm)
        else:
            # z was overwritten. Whoever differentiates a gradient pays for it again.
            z = lambda: linear(x, weight, bias)  # noqa: E731
            of_z = cast(Tensor, through(of_value, of_derivative, derivative, z))
        return linear_backward(of_z, x, weight, ctx.needs_input_grad)


def linear_mish(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mish(x W^T + b): `mish(linear(x, weight, bias))` up to rounding, sooner.

    Works under `torch.func` and can be differentiated any number of times.

    Args:
        x: [..., in].
        weight: [out, in].
        bias: [out], or None.

    Returns:
        [..., out].
    """
    if not has_kernel(x) or x.dtype != weight.dtype or torch.is_autocast_enabled("cpu"):
        return mish(linear(x, weight, bias))
    if torch.is_grad_enabled() and _any_requires_grad(x, weight, bias):
        return cast(Tensor, cast(Any, _LinearMish).apply(x, weight, bias)[0])
    if bias is None or not serves(x):
        z = linear(x, weight, bias).contiguous()
        write_value(z, z)
        return z
    z = linear(x, weight).contiguous()
    kernels().value(z, bias.contiguous())
    return z


def _any_requires_grad(*tensors: Tensor | None) -> bool:
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)
