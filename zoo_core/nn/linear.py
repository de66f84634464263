"""x W^T + b through torch's own product, or through oneDNN's where that is asked for.

Torch's CPU builds multiply float32 matrices with MKL, and carry oneDNN too, as
`torch.ops.mkldnn._linear_pointwise`, which is the faster one on some processors
(`benchmarks/README.md`). That operator has no autograd (its gradients are silently zero) and no
vmap rule, so it stands inside an autograd function here, and torch's own product serves under
`torch.func`.

ZOO_LINEAR=onednn asks for it, wherever it can compute: float32 on a CPU. Nothing is chosen by a
measurement, so that a run on one machine gives the same bits every time.
"""

import functools
import os
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_core.nn.autograd import transformed


@functools.cache
def _onednn_wanted() -> bool:
    wanted = os.environ.get("ZOO_LINEAR", "native")
    if wanted not in ("native", "onednn"):
        raise ValueError(f"ZOO_LINEAR is {wanted!r}; it may be native or onednn")
    return wanted == "onednn" and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    if not _onednn_wanted() or transformed() or not torch.backends.mkldnn.enabled:
        return False
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and weight.dim() == 2
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
    )


class _OneDNN(torch.autograd.Function):
    """The operator with its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        return linear_backward(gradient, x, weight, ctx.needs_input_grad)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The operator itself: no gradients."""
    # A weight with gaps, such as a slice of a wider one, costs the operator a thousand times more.
    if not (weight.is_contiguous() or weight.t().is_contiguous()):
        weight = weight.contiguous()
    flat = x.reshape(-1, x.shape[-1])
    y = torch.ops.mkldnn._linear_pointwise(flat, weight, bias, "none", [], "")
    return cast(Tensor, y).view(*x.shape[:-1], weight.shape[0])


def linear_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, needed: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of x, weight and bias that are needed, by operations that have gradients."""
    flat, flat_x = gradient, x
    if gradient.dim() != 2:
        flat, flat_x = gradient.reshape(-1, weight.shape[0]), x.reshape(-1, weight.shape[1])
    return (
        _matmul(gradient, weight) if needed[0] else None,
        _matmul(flat.t(), flat_x) if needed[1] else None,
        flat.sum(0) if needed[2] else None,
    )


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    """Multiply [..., n, m] by [m, k], through either library."""
    return linear(a, b.t()) if _by_onednn(a, b.t()) else a @ b


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x W^T + b as `torch.nn.functional.linear` does, equal to it up to rounding.

    Computes only the gradients that are asked for; works under `torch.func`; can be differentiated
    any number of times.

    Args:
        x: [..., in].
        weight: [out, in].
        bias: [out], or None.

    Returns:
        [..., out].
    """
    if _by_onednn(x, weight):
        return cast(Tensor, cast(Any, _OneDNN).apply(x, weight, bias))
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """`torch.nn.Linear` (parameters, initialisation, results) by way of `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return linear(input, self.weight, self.bias)
