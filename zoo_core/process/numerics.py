"""Settings of torch, numpy and Python that decide the numbers of every algorithm."""

from __future__ import annotations

import contextlib
import random
import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch

from zoo_core.process.state import Probe, attribute, unchanged

_overrides: Any = torch.overrides
_cuda: Any = torch.cuda

_KEPT: list[Any] = []
"""Contexts that stay entered until the process ends, to cancel others that can't be left."""


def _leave_inference_mode(on: bool) -> None:
    mode = torch.inference_mode(on)
    mode.__enter__()
    _KEPT.append(mode)


def _modes() -> dict[str, Any]:
    """The contexts that torch's functions run in; a default device is one of them."""
    stack = _overrides._get_current_function_mode_stack()
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return {"default device": context, "modes": tuple(m for m in stack if m is not context)}


def _restore_modes(before: dict[str, Any]) -> None:
    while _overrides._get_current_function_mode_stack():
        _overrides._pop_mode()
    torch._GLOBAL_DEVICE_CONTEXT.device_context = before["default device"]
    for mode in filter(None, before.values()):
        for one in mode if isinstance(mode, tuple) else (mode,):
            _overrides._push_mode(one)


def _autocast() -> dict[str, Any]:
    return {
        kind: (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind))
        for kind in ("cpu", "cuda")
    }


def _restore_autocast(settings: dict[str, Any]) -> None:
    for kind, (on, dtype) in settings.items():
        torch.set_autocast_enabled(kind, on)
        torch.set_autocast_dtype(kind, dtype)


def _restore_deterministic(mode: int) -> None:
    if "torch._inductor.config" in sys.modules:
        # It sets the compiler's mode too, for which it imports the compiler: seconds.
        torch.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)
    else:
        torch.set_deterministic_debug_mode(mode)


def _flushes_denormals() -> bool:
    """Whether this thread's arithmetic rounds the smallest numbers to 0; torch has no getter."""
    return sys.float_info.min / 2 == 0.0


def _global_hooks() -> dict[str, dict[Any, Any]]:
    """Hooks that run at the calls of every module."""
    owner: ModuleType = torch.nn.modules.module
    found = {name: value for name, value in vars(owner).items() if name.startswith("_global_")}
    return {name: dict(value) for name, value in found.items() if isinstance(value, dict)}


def _restore_global_hooks(hooks: dict[str, dict[Any, Any]]) -> None:
    for name, before in hooks.items():
        present = getattr(torch.nn.modules.module, name)
        present.clear()
        present.update(before)


def _numpy_state() -> tuple[Any, ...]:
    state: Any = np.random.get_state()
    return (state[0], state[1].tobytes(), *state[2:])


def _restore_numpy_state(state: tuple[Any, ...]) -> None:
    np.random.set_state((state[0], np.frombuffer(state[1], np.uint32).copy(), *state[2:]))


def _restore_torch_state(state: bytes) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _restore_cuda_states(states: tuple[bytes, ...]) -> None:
    _cuda.set_rng_state_all(
        [torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states]
    )


def _cuda_states() -> tuple[bytes, ...]:
    states = _cuda.get_rng_state_all() if _cuda.is_initialized() else []
    return tuple(state.numpy().tobytes() for state in states)


def _stop_cuda(running: bool) -> None:
    raise NotImplementedError(f"CUDA can't be stopped (it ran before: {running})")


_BACKENDS = (
    "cudnn.enabled",
    "cudnn.benchmark",
    "cudnn.benchmark_limit",
    "cudnn.deterministic",
    "mkldnn.enabled",
    "mkldnn.deterministic",
    "opt_einsum.enabled",
    "opt_einsum.strategy",
    "quantized.engine",
    "cuda.matmul.allow_fp16_reduced_precision_reduction",
    "cuda.matmul.allow_bf16_reduced_precision_reduction",
)
_PRECISIONS = (
    "fp32_precision",
    "cuda.matmul.fp32_precision",
    "cudnn.fp32_precision",
    "cudnn.conv.fp32_precision",
    "cudnn.rnn.fp32_precision",
    "mkldnn.fp32_precision",
    "mkldnn.matmul.fp32_precision",
    "mkldnn.conv.fp32_precision",
    "mkldnn.rnn.fp32_precision",
)
"""Settings that some versions of torch lack; `allow_tf32` is their older name."""

PROBES = (
    Probe("torch's contexts", _modes, _restore_modes),
    Probe("torch's inference mode", torch.is_inference_mode_enabled, _leave_inference_mode),
    Probe("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
    Probe("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Probe("torch's autocast", _autocast, _restore_autocast),
    Probe(
        "torch's anomaly detection",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda value: torch.autograd.set_detect_anomaly(*value),
    ),
    Probe(
        "torch's deterministic algorithms",
        torch.get_deterministic_debug_mode,
        _restore_deterministic,
    ),
    attribute("torch.utils.deterministic.fill_uninitialized_memory"),
    Probe(
        "torch's float32 precision",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    *(attribute(f"torch.backends.{name}") for name in _PRECISIONS + _BACKENDS),
    Probe(
        "torch's fast path of attention",
        torch.backends.mha.get_fastpath_enabled,
        torch.backends.mha.set_fastpath_enabled,
    ),
    Probe("torch's flushing of denormals", _flushes_denormals, torch.set_flush_denormal),
    Probe("torch's threads", torch.get_num_threads, torch.set_num_threads),
    Probe(
        "torch's threads between operations",
        torch.get_num_interop_threads,
        torch.set_num_interop_threads,
    ),
    Probe("torch's hooks of all modules", _global_hooks, _restore_global_hooks),
    Probe("the start of CUDA", _cuda.is_initialized, _stop_cuda),
    Probe("CUDA's random state", _cuda_states, _restore_cuda_states),
    Probe(
        "torch's random state",
        lambda: torch.get_rng_state().numpy().tobytes(),
        _restore_torch_state,
    ),
    Probe("Python's random state", random.getstate, random.setstate),
    Probe("numpy's random state", _numpy_state, _restore_numpy_state),
    Probe("numpy's error state", np.geterr, lambda value: np.seterr(**value)),
    Probe("numpy's error callback", np.geterrcall, np.seterrcall),
    Probe(
        "torch's print options",
        lambda: dict(vars(torch._tensor_str.PRINT_OPTS)),
        lambda options: vars(torch._tensor_str.PRINT_OPTS).update(options),
    ),
    Probe("numpy's print options", np.get_printoptions, lambda v: np.set_printoptions(**v)),
)
"""Probes of settings that decide numbers. Modes come first: restoring others creates tensors."""


def numbers_unchanged() -> contextlib.AbstractContextManager[list[str]]:
    """After the block, restores the settings that decide numbers; see `unchanged`."""
    return unchanged(PROBES)
