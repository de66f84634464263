"""Tracks: which datasets are ranked on, by which protocol and budget. Data files, no code.

A track is named (`demo`, `d4rl`, shipped here as package data) or is a path to a TOML file::

    name = "mine"
    summary = "Two datasets at small budgets."
    seeds = [0, 1, 2]

    [protocol]
    episodes = 10

    [defaults]                       # by path; apply to the algorithms that have the path
    steps = 100_000

    [algorithms."diffusion_*"]       # the same for algorithms by pattern
    steps = 50_000

    [datasets."zoo/bandit/modes-v0"] # an id or an expression, with defaults of its own
    steps = 1_000
    algorithms."td3_*".steps = 2_000

    [datasets."zoo/pendulum/mixed-v0"]

    [datasets."zoo/pendulum/narrow-v0"]
    steps = 1_000
    tuning_evaluations.cql = 35      # training runs by which the values for `cql` were found

Where there are no values, `datasets` may be a list of ids. Later ones win: defaults, algorithms,
the dataset's defaults, the dataset's algorithms. All of them are the track's and win over an
algorithm's tuned values; `--set` wins over them.

`tuning_evaluations`, of the track or of a dataset, declares by algorithm pattern how many training
runs on a dataset the search for the track's own values spent. Nothing declared means 0 where the
track has no values for an algorithm, and not known where it has.
"""

from __future__ import annotations

import fnmatch
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, ValidationError, field_validator

from zoo_core.errors import UnknownName, ZooError
from zoo_leaderboard.datasets.expression import parse
from zoo_leaderboard.result import TRACK_NAME, Protocol, Record


def flattened(values: Any, prefix: str = "") -> Any:
    """TOML's nested tables as values by path: `critic.hidden = 64` is the path `critic.hidden`."""
    if not isinstance(values, dict):
        return values
    flat: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        flat |= flattened(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return flat


Values = Annotated[dict[str, Any], BeforeValidator(flattened)]
"""Settings' values by path."""


class TrackDataset(Record):
    """A column of the leaderboard."""

    id: str
    defaults: Values = Field(default_factory=dict)
    algorithms: dict[str, Values] = Field(default_factory=dict)
    """Values by path for algorithms by pattern."""
    tuning_evaluations: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """Training runs that the track's values for algorithms by pattern took to find."""


class Track(Record):
    """What a leaderboard ranks, on what, and how."""

    name: str
    summary: str
    """One line, shown above tables."""
    reduced: bool = False
    """Whether networks and budgets are smaller than the papers': rows then say so."""
    notes: tuple[str, ...] = ()
    """Lines shown above tables."""
    seeds: tuple[int, ...] = (0, 1, 2)
    variants: tuple[Literal["default", "tuned"], ...] = ("default",)
    protocol: Protocol = Protocol()
    defaults: Values = Field(default_factory=dict)
    algorithms: dict[str, Values] = Field(default_factory=dict)
    tuning_evaluations: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """On each dataset that declares no other number, for algorithms by pattern."""
    datasets: tuple[TrackDataset, ...]

    @field_validator("name")
    @classmethod
    def _is_a_word(cls, name: str) -> str:
        if not TRACK_NAME.fullmatch(name):
            raise ValueError("a track's name is letters, digits, '.', '_' and '-'")
        return name

    @field_validator("datasets", mode="before")
    @classmethod
    def _canonical(cls, listed: Any) -> Any:
        """TOML's tables by id, or a list of ids, with expressions in their canonical form."""
        if not isinstance(listed, dict | list | tuple) or not all(
            isinstance(name, str) for name in listed
        ):
            raise ValueError('datasets are tables by id, [datasets."ID"], or a list of ids')
        tables = listed if isinstance(listed, dict) else {name: {} for name in listed}
        entries = []
        for name, table in tables.items():
            values = dict(table)
            own = {key: values.pop(key, {}) for key in ("algorithms", "tuning_evaluations")}
            entries.append({"id": str(parse(name)), "defaults": values, **own})
        return entries

    def dataset_ids(self) -> list[str]:
        """The datasets in the track's order."""
        return [dataset.id for dataset in self.datasets]

    def values(self, algorithm: str, dataset: str) -> Values:
        """The track's values by path for an algorithm on a dataset; of the track or not."""
        merged = {**self.defaults, **_matching(self.algorithms, algorithm)}
        for own in self.datasets:
            if own.id == dataset:
                merged |= {**own.defaults, **_matching(own.algorithms, algorithm)}
        return merged

    def tuned_by(self, algorithm: str, dataset: str) -> int | None:
        """Training runs that the search for the track's values spent; None where it does not say.

        A track without values for the algorithm on the dataset tuned nothing: 0.
        """
        tables = [self.tuning_evaluations]
        tables += [own.tuning_evaluations for own in self.datasets if own.id == dataset]
        declared = [
            spent
            for table in tables
            for pattern, spent in table.items()
            if fnmatch.fnmatchcase(algorithm, pattern)
        ]
        if declared:
            return declared[-1]
        return None if self.values(algorithm, dataset) else 0


def _matching(tables: dict[str, Values], algorithm: str) -> Values:
    merged: Values = {}
    for pattern, values in tables.items():
        if fnmatch.fnmatchcase(algorithm, pattern):
            merged |= values
    return merged


def known() -> list[str]:
    """The names of the shipped tracks."""
    folder = resources.files("zoo_leaderboard") / "tracks"
    names = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_track(name: str | Path) -> Track:
    """The shipped track of that name, or the one in a TOML file.

    Raises:
        UnknownName: no such track; the message lists them.
        ZooError: a file that is missing or no track.
    """
    text = str(name)
    if text in known():
        content = (resources.files("zoo_leaderboard") / "tracks" / f"{text}.toml").read_text()
    elif text.endswith(".toml") or "/" in text:
        try:
            content = Path(text).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ZooError(f"cannot read the track {text}: {reason}") from None
    else:
        raise UnknownName("track", text, known(), "(or the path of a TOML file)")
    try:
        return Track.model_validate(_known_keys(tomllib.loads(content)))
    except tomllib.TOMLDecodeError as error:
        raise ZooError(f"track {text}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ZooError(f"track {text}: {where}: {first['msg']}") from None


def _known_keys(content: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(content) - set(Track.model_fields))
    if unknown:
        raise ZooError(f"track: unknown key '{unknown[0]}'; known: {', '.join(Track.model_fields)}")
    return content
