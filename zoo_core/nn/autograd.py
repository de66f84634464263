"""When the package's hand-written autograd functions can serve."""

import torch
from torch.autograd import forward_ad


def transformed() -> bool:
    """Whether `torch.func`, forward-mode differentiation or the compiler is at work.

    Functions of our own would need rules for each of them, and would cost more than they gain:
    torch's operations serve there.
    """
    return (
        torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch.compiler.is_compiling()
    )
