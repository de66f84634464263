"""Minari's metadata of a dataset, checked before anything uses them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Required, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    ValidationError,
    model_validator,
)
from typing_extensions import TypedDict

from zoo_core.errors import ZooError
from zoo_core.text import printable
from zoo_leaderboard.result import Count

Metadata = Mapping[str, Any]
"""Minari's metadata as stored; the values that the zoo reads are of the kinds in `_Fields`."""

FILE = "metadata.json"
DATA_FILE = "main_data.hdf5"
"""Minari's default format; others have folders of files in its place."""
_SHOWN = 40
"""Characters of a wrong value that a message shows."""


def read_metadata(data_path: Path) -> Metadata:
    """The metadata of a dataset, from its `data` folder.

    Raises:
        ZooError: the file is missing, unreadable or not JSON, or has a value of a wrong kind; the
            data that it describes are missing.
    """
    try:
        found = json.loads((data_path / FILE).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ZooError(
            f"the dataset at '{data_path}' has no readable {FILE} ({printable(str(reason), 60)}); "
            "delete the folder and get it again"
        ) from None
    metadata = checked(found, f"the dataset at '{data_path}'")
    if metadata.get("data_format", "hdf5") == "hdf5" and not os.path.isfile(data_path / DATA_FILE):
        raise ZooError(
            f"the dataset at '{data_path}' has no {DATA_FILE}; delete the folder and get it again"
        )
    return metadata


def checked(metadata: Any, owner: str) -> Metadata:
    """Metadata with the descriptive values as text and all others of the kinds that the zoo reads.

    Args:
        metadata: Any JSON value.
        owner: Whose they are, for the message.

    Raises:
        ZooError: a value of a wrong kind; the message names it.
    """
    try:
        fields = _Fields.model_validate(metadata)
    except ValidationError as error:
        raise ZooError(f"{owner} has bad metadata: {_reason(error)}") from None
    return {**metadata, **fields.model_dump(include={*_DESCRIPTIVE} & {*metadata})}


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    what = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    what = printable(what.partition(" or instance of")[0], 2 * _SHOWN)
    if first["type"] == "value_error":
        return what
    name = ".".join(str(part) for part in first["loc"]) or FILE
    if first["type"] == "missing":
        return f"{printable(name, _SHOWN)} is missing"
    value = printable(json.dumps(first["input"], default=str), _SHOWN)
    return f"{printable(name, _SHOWN)} is {value} ({what})"


def _text(value: Any) -> str | None:
    """Any value as a text to show; None if it is empty."""
    if isinstance(value, list):
        return ", ".join(sorted(filter(None, map(_text, value)))) or None
    return (value if isinstance(value, str | None) else json.dumps(value)) or None


def _number(value: Any) -> float | None:
    """The value as a finite number; None if it is not one."""
    try:
        number = float("nan" if isinstance(value, bool | str | None) else value)
    except (TypeError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _filled(value: Any) -> Any:
    return None if value == "" else value


Text = Annotated[str | None, BeforeValidator(_text)]


class _Wrapper(TypedDict, total=False):
    name: Required[str]
    entry_point: Required[str]
    kwargs: dict[str, Any] | None


class _Specification(TypedDict, total=False):
    """The parts of Gymnasium's specification that the zoo reads before Gymnasium does."""

    id: Required[Annotated[str, Field(min_length=1)]]
    kwargs: dict[str, Any] | None
    max_episode_steps: Annotated[int, Field(ge=1, strict=False)] | None
    entry_point: str | None
    additional_wrappers: list[_Wrapper] | None


Specification = Annotated[Json[_Specification] | None, BeforeValidator(_filled)]


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    dataset_id: Text = None
    minari_version: str | None = None
    total_episodes: Count
    total_steps: Count | None = None
    observation_space: str | None = None
    action_space: str | None = None
    env_spec: Specification = None
    eval_env_spec: Specification = None
    requirements: list[str] | None = None
    ref_min_score: float | None = None
    ref_max_score: float | None = None
    ref_source: Text = None
    dataset_size: Annotated[float | None, BeforeValidator(_number)] = None
    author: Text = None
    code_permalink: Text = None
    license: Text = None
    description: Text = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.ref_min_score, self.ref_max_score
        if low is not None and high is not None and low > high:
            raise ValueError(f"ref_min_score {low:g} is above ref_max_score {high:g}")
        return self


_DESCRIPTIVE = (
    "dataset_id",
    "ref_source",
    "dataset_size",
    "author",
    "code_permalink",
    "license",
    "description",
)
