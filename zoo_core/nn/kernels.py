"""Mish's kernels compiled for this processor, where the machine has a C compiler.

`kernels.c` is compiled once a machine, in a fraction of a second, and kept in the user's cache
folder. Where there is no compiler, or with ZOO_KERNELS=torch, torch's operations serve instead: a
little slower, and equal up to rounding.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

_SOURCE = Path(__file__).with_name("kernels.c")
# Nothing is contracted or reassociated, so that both kernels give a value the same bits.
_FLAGS = (
    "-O3",
    "-fPIC",
    "-shared",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
)
# The first that the compiler takes.
_TUNED = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ())
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64


class Kernels:
    """The compiled functions; all tensors are float32, contiguous, and of one matrix's shape."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._value = library.mish_value
        self._both = library.mish_value_and_derivative
        self._backward = library.mish_backward
        self._value.argtypes = [_POINTER, _POINTER, _SIZE, _SIZE]
        self._both.argtypes = [_POINTER, _POINTER, _POINTER, _SIZE, _SIZE]
        self._backward.argtypes = [_POINTER, _POINTER, _POINTER, _POINTER, _SIZE, _SIZE]
        for function in (self._value, self._both, self._backward):
            function.restype = None

    def value(self, z: Tensor, bias: Tensor | None) -> None:
        """z [..., out] becomes Mish(z + bias)."""
        self._value(z.data_ptr(), _pointer(bias), *_matrix(z, bias))

    def value_and_derivative(self, z: Tensor, bias: Tensor | None, derivative: Tensor) -> None:
        """z becomes Mish(z + bias), and `derivative` Mish'(z + bias)."""
        self._both(z.data_ptr(), _pointer(bias), derivative.data_ptr(), *_matrix(z, bias))

    def backward(self, of_value: Tensor, derivative: Tensor, of_z: Tensor, of_bias: Tensor) -> None:
        """`of_z` becomes of_value * derivative, and `of_bias` [out] the sum of its rows."""
        columns = of_bias.shape[0]
        rows = of_value.numel() // columns
        pointers = (of_value.data_ptr(), derivative.data_ptr(), of_z.data_ptr(), of_bias.data_ptr())
        self._backward(*pointers, rows, columns)


def _pointer(bias: Tensor | None) -> int | None:
    return None if bias is None else bias.data_ptr()


def _matrix(z: Tensor, bias: Tensor | None) -> tuple[int, int]:
    """Rows and columns; without a bias all is one row."""
    columns = z.numel() if bias is None else bias.shape[0]
    return (z.numel() // columns if columns else 0), columns


@functools.cache
def compiled() -> Kernels | None:
    """The kernels, or None where they cannot be had.

    Raises:
        ValueError: ZOO_KERNELS is neither `auto` nor `torch`.
    """
    wanted = os.environ.get("ZOO_KERNELS", "auto")
    if wanted not in ("auto", "torch"):
        raise ValueError(f"ZOO_KERNELS is {wanted!r}; it may be auto or torch")
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if wanted == "torch" or compiler is None:
        return None
    # What a processor can run is part of the name: homes are shared between machines.
    made_of = (_SOURCE.read_text(), *_FLAGS, compiler, platform.machine(), _processor())
    name = f"kernels-{hashlib.sha256('|'.join(made_of).encode()).hexdigest()[:16]}.so"
    for folder in (_cache_folder(), Path(tempfile.gettempdir()) / f"zoo-{os.getuid()}"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.getuid():
                continue  # never load what somebody else could have put there
            if not (folder / name).exists() and not _compile(compiler, folder / name):
                return None
            return Kernels(ctypes.CDLL(str(folder / name)))
        except (OSError, AttributeError):
            continue
    return None


def kernels() -> Kernels:
    """The kernels, for what `serves` is true of."""
    found = compiled()
    assert found is not None
    return found


def serves(x: Tensor) -> bool:
    """Whether the kernels, which use one thread, are the quickest for such a tensor."""
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and torch.get_num_threads() == 1
        and compiled() is not None
    )


def _compile(compiler: str, library: Path) -> bool:
    handle, temporary = tempfile.mkstemp(dir=library.parent, suffix=".so")
    os.close(handle)
    try:
        for for_this_processor in _TUNED:
            command = [compiler, *_FLAGS, *for_this_processor, str(_SOURCE), "-o", temporary]
            if (
                subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
                == 0
            ):
                os.replace(temporary, library)
                return True
        return False
    except subprocess.TimeoutExpired:
        return False
    finally:
        Path(temporary).unlink(missing_ok=True)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "zoo"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
