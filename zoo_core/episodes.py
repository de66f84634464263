"""One logged episode as tensors whose shapes and values fit together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_core.errors import ZooError
from zoo_core.precision import Changes

_DIMENSIONS = {
    "observations": (1, 2),
    "actions": (0, 2),
    "rewards": (0, 1),
    "terminations": (0, 1),
    "truncations": (0, 1),
}
"""For each array of an episode, its rows beyond the T transitions and its number of dimensions."""


def tensors_of(episode: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """An episode's tensors, whose shapes fit together.

    Args:
        episode: Tensors by name.
        where: Name of the episode in messages.

    Raises:
        ZooError: an array is missing or empty, has another shape, holds anything but real numbers,
            or a flag is neither 0 nor 1.
    """
    missing = [key for key in _DIMENSIONS if key not in episode]
    if missing:
        raise ZooError(
            f"{where}: no {missing[0]} (it has {', '.join(map(str, episode)) or 'none'})"
        )
    tensors = {key: _tensor(episode[key], f"{where}: {key}") for key in _DIMENSIONS}
    steps = len(tensors["actions"]) if tensors["actions"].dim() else 0
    if steps == 0:
        raise ZooError(f"{where}: it has no transition")
    for key in ("terminations", "truncations"):
        wrong = (tensors[key] != 0) & (tensors[key] != 1)
        if bool(wrong.any()):
            value = tensors[key][wrong][0]
            raise ZooError(f"{where}: {key} has {float(value):g}, not 0 or 1")
    for key, (more, dims) in _DIMENSIONS.items():
        shape = tensors[key].shape
        if len(shape) != dims or shape[0] != steps + more:
            sizes = [str(steps + more), key[0].upper()][:dims]
            raise ZooError(f"{where}: {key} {list(shape)}, not [{', '.join(sizes)}]")
    return tensors


def _tensor(values: Any, what: str) -> Tensor:
    """A tensor of real numbers from a tensor, an array of any byte order and strides, or a list."""
    if not isinstance(values, Tensor):
        try:
            array = np.asarray(values)
        except ValueError:
            raise ZooError(f"{what} has rows of different lengths") from None
        if array.dtype.kind not in "biuf":
            raise ZooError(f"{what} is {array.dtype}, not real numbers")
        native = array.dtype.newbyteorder("=") if array.dtype.itemsize <= 8 else np.float64
        values = torch.as_tensor(np.ascontiguousarray(array, native))
    tensor: Tensor = values.detach()
    if tensor.is_complex():
        raise ZooError(f"{what} is {tensor.dtype}, not real numbers")
    return tensor


def merged(key: str, parts: Iterable[Tensor], name: str) -> list[str]:
    """Lines about changes in an array that float32 loses."""
    changes = Changes(key.removesuffix("s"))
    for part in parts:
        if part.dtype in {torch.float64, torch.int32, torch.int64}:
            changes.add(part.detach().cpu().reshape(len(part), -1).numpy())
    return changes.notes(name)
