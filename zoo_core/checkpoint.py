"""Checkpoints: one file, written by rename, that holds tensors and plain values only."""

from __future__ import annotations

import io
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo_core.errors import BadCheckpoint, Unwritable
from zoo_core.version import SEMANTICS, __version__

FORMAT = 1
"""Raised when a file's layout changes."""

Fields = Mapping[str, type]
"""The type of each field of a file."""


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a checkpoint; a reader sees the old file or the new one, never a part.

    Raises:
        Unwritable: the place cannot be written to; what is there is left as it was.
    """
    stamped = {
        "format": FORMAT,
        "semantics": SEMANTICS,
        "versions": {
            "zoo_core": __version__,
            "torch": torch.__version__.split("+")[0],
            "python": platform.python_version(),
        },
        **content,
    }
    # Made in memory first: onto a full disk torch.save itself fails with errors of other types.
    packed = io.BytesIO()
    torch.save(stamped, packed)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise Unwritable(f"cannot write the checkpoint {path}: {error.strerror or error}") from None


_AGENT: Fields = {"algorithm": str, "settings": dict, "space": list, "seeds": list, "agents": list}
_TRAINER: Fields = {
    "semantics": int,
    "engine": str,
    "data": str,
    "device": str,
    "dtype": str,
    "stage": int,
    "step": int,
    "columns": list,
    "generators": list,
    "optimizers": dict,
}


def read(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """A checkpoint's content; nothing in the file is executed (`weights_only`).

    Raises:
        BadCheckpoint: the file is missing, damaged, or no checkpoint of the zoo.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise BadCheckpoint(f"no checkpoint at {path}") from None
    except IsADirectoryError:
        raise BadCheckpoint(f"{path} is a folder, not a checkpoint file") from None
    except Exception as error:
        # torch.load raises a dozen types for damaged files: zip, pickle, runtime and value errors.
        raise BadCheckpoint(
            f"{path} is damaged or no checkpoint ({type(error).__name__}); delete it to start from "
            "scratch"
        ) from None
    if not isinstance(content, dict) or "format" not in content or "agents" not in content:
        raise BadCheckpoint(f"{path} is no checkpoint of the zoo")
    if content["format"] != FORMAT:
        raise BadCheckpoint(
            f"{path} has checkpoint format {content['format']}; this zoo-core reads {FORMAT}"
        )
    _check_fields(content, _AGENT, path)
    seeds, space = content["seeds"], content["space"]
    if not seeds or len(seeds) != len(content["agents"]) or len(space) != 2:
        raise BadCheckpoint(f"{path} is damaged: seeds, agents and space do not fit together")
    return content


def check_training(content: Mapping[str, Any], path: Path) -> None:
    """Checks that a file holds the fields from which training resumes.

    Raises:
        BadCheckpoint: it holds an agent only, or a field is missing or of another type.
    """
    if "generators" not in content:
        raise BadCheckpoint(f"{path} holds an agent only; training cannot resume from it")
    _check_fields(content, _TRAINER, path)


def _check_fields(content: Mapping[str, Any], fields: Fields, path: Path) -> None:
    for name, kind in fields.items():
        if not isinstance(content.get(name), kind):
            raise BadCheckpoint(f"{path} is damaged: it has no valid '{name}'; delete it")


def restore(module: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> None:
    """Loads a state into a module.

    Raises:
        BadCheckpoint: names or shapes differ.
    """
    try:
        module.load_state_dict(dict(state))
    except RuntimeError as error:
        detail = str(error).split("\n")[1].strip() if "\n" in str(error) else str(error)
        raise BadCheckpoint(f"{path} does not fit its algorithm: {detail}") from None
