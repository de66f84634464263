"""The optimizer of a trained part: one state, stepped with the settings of each update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo_core.specs import Adam


class PartOptimizer:
    """Adam over one part's parameters, elementwise and with one fused kernel for all of them.

    The moments and the number of steps belong to the part and are kept from stage to stage. The
    learning rate, betas, epsilon and weight decay are those of the update that steps.

    Args:
        parameters: The part's parameters, stacked or not.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        # torch 2.6 has decoupled weight decay in a separate class, with the same state.
        self._coupled = torch.optim.Adam(self.parameters, fused=True)
        self._decoupled = torch.optim.AdamW(self.parameters, fused=True)
        self._decoupled.state = self._coupled.state

    def step(self, gradients: Sequence[Tensor], adam: Adam, lr: float) -> None:
        """Takes one gradient step with an update's settings and its current learning rate."""
        optimizer = self._decoupled if adam.decoupled else self._coupled
        for group in optimizer.param_groups:
            group["lr"] = lr
            group["betas"] = (adam.beta1, adam.beta2)
            group["eps"] = adam.eps
            group["weight_decay"] = adam.weight_decay
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None

    def forget(self, parameters: Sequence[Tensor]) -> None:
        """Drops the moments of some parameters, which then start from 0 again."""
        for parameter in parameters:
            self._coupled.state.pop(parameter, None)

    def state_dict(self) -> dict[str, Any]:
        """The state, as torch's optimizers give it."""
        return self._coupled.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Loads a state's moments and step counts, but not its settings.

        Raises:
            ValueError: the state belongs to other parameters.
        """
        own = self._coupled.state_dict()["param_groups"]
        if [group["params"] for group in state["param_groups"]] != [g["params"] for g in own]:
            raise ValueError("it is of other parameters")
        # The fused kernel checks no size.
        for index, moments in state["state"].items():
            shape = self.parameters[index].shape
            if any(moments[name].shape != shape for name in ("exp_avg", "exp_avg_sq")):
                raise ValueError(f"its moments of parameter {index} are not {list(shape)}")
            if moments["step"].numel() != 1:
                raise ValueError(f"its number of steps of parameter {index} is not one number")
        self._coupled.load_state_dict({"state": state["state"], "param_groups": own})
        self._decoupled.state = self._coupled.state
