"""A part's parameters as one contiguous vector, of which the modules see views.

An optimizer, a clip or an average is then one operation on one tensor: at a few hundred updates a
second the calls per tensor would cost as much as a small network's products.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def flatten(module: nn.Module) -> Tensor:
    """Moves a module's parameters into one vector, in their order; the module keeps views of it."""
    parameters = list(module.parameters())
    if not parameters:
        return torch.zeros(0)
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    position = 0
    for parameter in parameters:
        size = parameter.numel()
        parameter.data = flat[position : position + size].view(parameter.shape)
        position += size
    return flat


def covering(parameters: Sequence[Tensor], flat: Tensor) -> Tensor:
    """The stretch of `flat` that holds the parameters, which must be neighbours in order.

    Raises:
        ValueError: they are not, because a submodule shares parameters with another one.
    """
    offsets = [p.storage_offset() for p in parameters]
    ends = [o + p.numel() for o, p in zip(offsets, parameters, strict=True)]
    if offsets[1:] != ends[:-1]:
        raise ValueError("its parameters are not neighbours: it shares some with another part")
    return flat[offsets[0] : ends[-1]]
