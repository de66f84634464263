"""Settings: typed, documented, validated by pydantic, and reached by one grammar of paths.

A settings class is a frozen pydantic model whose fields are documented by the string below them::

    class TwinQConfig(Config):
        hidden: PositiveInt = 256
        '''Width of each hidden layer.'''
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError, field_validator
from pydantic_core import ErrorDetails

from zoo_core.errors import ZooError

RewardRule = Literal["none", "standardise", "unit_range", "return_range", "minus_one", "antmaze"]
"""How logged rewards are rescaled: see :func:`zoo_core.data.reward_scaling`."""


class Config(BaseModel):
    """Base of all settings: immutable, no unknown fields, documented by attribute strings."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """A validated copy with some fields changed.

        Raises:
            pydantic.ValidationError: a value is out of its range or of the wrong type.
        """
        current = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate({**current, **changes})


class AlgorithmConfig(Config):
    """What every algorithm has; an algorithm's own settings class extends it."""

    steps: PositiveInt = 1_000_000
    """Training steps over all stages; the leaderboard's budget."""
    batch_size: PositiveInt = 256
    """Transitions (or windows) per step."""
    normalize_observations: bool = False
    """Whether observations are standardised by the data's mean and standard deviation."""
    reward: RewardRule = "none"
    """How logged rewards are rescaled before training."""

    @field_validator("reward", mode="before")
    @classmethod
    def _none_is_a_rule(cls, rule: Any) -> Any:
        """The command line reads `reward=none` as no value."""
        return "none" if rule is None else rule


@dataclass(frozen=True)
class Setting:
    """One settable path of a resolved algorithm."""

    path: str
    value: Any
    """As JSON would hold it."""
    meaning: str
    kind: str
    """The type that the value must have, as text."""


def parse_value(text: str) -> Any:
    """The value that a command-line text means: JSON where it is JSON (``none`` too), else text."""
    if text.strip().lower() in {"none", "null"}:
        return None
    if text.strip() in {"True", "False"}:
        return text.strip() == "True"
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_assignments(
    assignments: Mapping[str, Any] | list[str] | tuple[str, ...],
) -> dict[str, Any]:
    """``["critic.hidden=512"]`` as ``{"critic.hidden": 512}``; a mapping is returned as a dict.

    Raises:
        ZooError: an assignment without ``=`` or without a path.
    """
    if isinstance(assignments, Mapping):
        return dict(assignments)
    values: dict[str, Any] = {}
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        if not separator or not path.strip():
            raise ZooError(
                f"'{assignment}' is not of the form PATH=VALUE, such as critic.hidden=512"
            )
        values[path.strip()] = parse_value(text)
    return values


def explain(error: ValidationError, where: str, given: Any) -> str:
    """One line for the first problem of a pydantic error, with the full path of the field.

    Args:
        error: What pydantic raised.
        where: The path of what was validated; empty for an algorithm's own settings.
        given: What was validated, which tells fields from the names that pydantic gives to the
            members of a union.
    """
    problems = [(problem, _fields(problem, given)) for problem in error.errors()]
    first = problems[0][1][:1]
    # Of a union's members, the one that was meant understood most of the value.
    problem, fields = max(
        (pair for pair in problems if pair[1][: len(first)] == first),
        key=lambda pair: len(pair[1]),
    )
    path = ".".join(text for text in (where, *fields) if text)
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    shown = problem["input"]
    simple = problem["type"] != "missing" and not isinstance(shown, Mapping | BaseModel)
    got = f" (got {shown!r})" if simple and "(got " not in message else ""
    return f"{path}: {message}{got}" if path else f"{message}{got}"


def _fields(problem: ErrorDetails, given: Any) -> list[str]:
    """The part of a problem's location that names what is in the value, or is missing there."""
    fields: list[str] = []
    for part in problem["loc"]:
        try:
            given = getattr(given, str(part)) if isinstance(given, BaseModel) else given[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            continue
        fields.append(str(part))
    missing = problem["loc"][-1:] if problem["type"] == "missing" else ()
    return [*fields, *map(str, missing)]
