"""Opening a file: numpy archives and HDF5 are read, anything else is named for what it is.

What a file is says its content, not its name.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.importing.naming import listed

HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)
"""Possible offsets of the HDF5 signature; a user block may precede it (MATLAB 7.3)."""

_NUMPY = "load it in Python and save its arrays with numpy.savez"
_UNPACK = "unpack it first"

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "a PyTorch checkpoint", _NUMPY),
    (b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"PAR1", "a Parquet table", _NUMPY),
    (b"ARROW1", "an Arrow table", _NUMPY),
    (b"FEA1", "a Feather table", _NUMPY),
    (b"MATLAB 5.0", "a MATLAB file", "load it with scipy.io.loadmat and save with numpy.savez"),
    (b"SQLite format 3", "a SQLite database", _NUMPY),
    (b"#ROSBAG", "a ROS bag", _NUMPY),
    (b"\x89MCAP0", "an MCAP recording", _NUMPY),
    (b"\x89PNG", "a PNG image", "the zoo reads vectors"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "run git lfs pull"),
)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The arrays of a file by their names, and what holds them: `numpy` or `hdf5`.

    Raises:
        ZooError: the file is missing, damaged, or anything else; the message says what it is.
    """
    if path.is_dir():
        raise ZooError(_folder(path))
    if not path.exists():
        raise ZooError("there is no such file")
    if not path.is_file():
        raise ZooError("it is not a regular file")
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise ZooError("it is empty (0 bytes); copy or download it again")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with _archive(path) as archive:
            yield archive, "numpy"
    elif any(head[offset:].startswith(HDF5) for offset in _HDF5_OFFSETS):
        with _hdf5(path) as file5:
            yield file5, "hdf5"
    else:
        raise ZooError(_other(path, head))


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        sizes = re.search(r"eof = (\d+).*stored_eof = (\d+)", str(error))
        what = f": {int(sizes[1]):,} of {int(sizes[2]):,} bytes" if sizes else ""
        state = "cut short" if sizes else "damaged, or another program is writing it"
        raise ZooError(f"it is an HDF5 file that is {state}{what}; copy it again") from None
    with file:
        yield file


@contextmanager
def _archive(path: Path) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(path) as opened_zip:
            names = opened_zip.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        raise ZooError("it is a zip archive that is damaged or cut short; copy it again") from None
    if not any(name.endswith(".npy") for name in names):
        raise ZooError(_zip(names))
    with np.load(path, allow_pickle=False) as archive:
        yield archive


def _zip(names: list[str]) -> str:
    inner = {name.rpartition("/")[2] for name in names}
    if {"policy.pth", "pytorch_variables.pth"} & inner:
        return (
            "it is a model of stable-baselines3, which holds no transitions; save those of its "
            "replay buffer with numpy.savez"
        )
    if "data.pkl" in inner:
        return f"it is a PyTorch checkpoint; {_NUMPY}"
    if "[Content_Types].xml" in inner:
        return f"it is an Excel workbook; {_NUMPY}"
    if not names:
        return "it is a zip archive without files"
    return f"it is a zip archive of {listed(names)}; unpack it, or save arrays with numpy.savez"


def _folder(path: Path) -> str:
    names = sorted(child.name for child in path.iterdir())
    if "metadata.json" in names or "data" in names:
        return (
            "it is a folder, and looks like a Minari dataset: it needs no import, put it below "
            "MINARI_DATASETS_PATH under its id"
        )
    if "dataset_info.json" in names:
        return f"it is a folder of Hugging Face datasets (imitation's trajectories); {_NUMPY}"
    if {".zgroup", ".zarray", "zarr.json"} & set(names):
        return f"it is a Zarr folder; {_NUMPY}"
    return f"it is a folder{f' of {listed(names)}' if names else ''}; name one file"


def _other(path: Path, head: bytes) -> str:
    for signature, kind, advice in _SIGNATURES:
        if head.startswith(signature):
            return f"it is {kind}; {advice}"
    if head.startswith(b"\x93NUMPY") and b"'descr': '|O'" in head[:256]:
        return f"it is Python objects, pickled by numpy.save; {_NUMPY}"
    if head.startswith(b"\x93NUMPY"):
        return f"it is one numpy array{_shape(path)}; save all arrays of the log with numpy.savez"
    if head[257:262] == b"ustar":
        return f"it is a tar archive; {_UNPACK}"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return f"it is a pickle; {_NUMPY}"
    text = _text(head)
    if text is None:
        if path.suffix.lower() in (".pkl", ".pickle", ".joblib"):
            return f"it is a pickle; {_NUMPY}"
        if path.suffix.lower() in (".h5", ".hdf5", ".npz"):
            return "its content is neither HDF5 nor a numpy archive; copy or download it again"
        return "it is neither HDF5 nor a numpy archive (numpy.savez)"
    start = text.lstrip("\ufeff \t\r\n")
    if re.match(r"<!doctype html|<html", start, re.IGNORECASE):
        return "it is a web page (HTML), not the data; download the file itself"
    if start[:1] in ("{", "["):
        return f"it is JSON; {_NUMPY}"
    if re.match(r"\(?[cld(]\S*\n|\((?:dp|lp)\d", start) and text.rstrip()[-1:] == ".":
        return f"it is a pickle; {_NUMPY}"
    first = start.partition("\n")[0]
    for separator, kind in ((",", "a CSV table"), ("\t", "a table of tab-separated text")):
        if separator in first:
            return f"it is {kind}; read it with numpy or pandas and save arrays with numpy.savez"
    return f"it is a text file; {_NUMPY}"


def _shape(path: Path) -> str:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return ""
    return f" [{', '.join(map(str, array.shape))}]"


def _text(head: bytes) -> str | None:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        return None
    return None if re.search(r"[\x00-\x08\x0e-\x1a]", text) else text
