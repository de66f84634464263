"""A linear layer of several inputs that never concatenates what would have to be repeated."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo_core.nn.linear import Linear, linear


class ConcatLinear(Linear):
    """`Linear` of the concatenation of several inputs, [a, b] W^T = a W_a^T + b W_b^T.

    Its parameters and their initialisation are those of one `Linear` of sum(sizes) inputs. Inputs
    whose leading dimensions differ broadcast: the part of an observation [B, O] is computed once
    for all candidates [n, B, A]. A part that many calls share can be kept (see `part`).

    Args:
        sizes: Last dimension of each input.
        out_features: Size of the output.
    """

    def __init__(self, sizes: Sequence[int], out_features: int) -> None:
        super().__init__(sum(sizes), out_features)
        self.sizes = tuple(sizes)

    def part(self, index: int, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """What one input adds to the output, [..., out_features], plus `bias` [out_features].

        The parts of all inputs and the layer's bias, added once, make the output.
        """
        start = sum(self.sizes[:index])
        return linear(x, self.weight[:, start : start + self.sizes[index]], bias)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Inputs [..., sizes[i]], leading dimensions broadcast -> [..., out_features].

        Raises:
            ValueError: there are not as many inputs as sizes, or their last dimensions differ.
        """
        together = self.concatenated(*inputs)
        if together is not None:
            return super().forward(together)
        # The smallest first: what broadcasts is added while it is still small.
        order = sorted(range(len(inputs)), key=lambda i: (inputs[i].dim(), inputs[i].numel()))
        output = self.part(order[0], inputs[order[0]], self.bias)
        for index in order[1:]:
            output = output + self.part(index, inputs[index])
        return output

    def concatenated(self, *inputs: Tensor) -> Tensor | None:
        """The inputs as one, [..., sum(sizes)], unless one would have to be repeated for that."""
        if tuple(x.shape[-1] for x in inputs) != self.sizes:
            given = ", ".join(str(list(x.shape)) for x in inputs)
            raise ValueError(f"inputs of sizes {list(self.sizes)} are needed, got shapes {given}")
        if len(inputs) == 1:
            return inputs[0]
        if any(x.shape[:-1] != inputs[0].shape[:-1] for x in inputs[1:]):
            shapes = [x.shape[:-1] for x in inputs]
            leading: torch.Size = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
            # torch.Size.numel would fix the batch size of a graph that is being exported.
            if any(math.prod(shape) != math.prod(leading) for shape in shapes):
                return None
            # They differ in leading ones alone; expanding would fix the batch size as well.
            inputs = tuple(x[(None,) * (len(leading) + 1 - x.dim())] for x in inputs)
        return torch.cat(inputs, -1)
