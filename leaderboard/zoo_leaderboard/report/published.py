"""Published scores of the zoo's algorithms: facts with their sources, shipped as package data.

They stand beside ours (`comparison`), never in the same ranking: the data and the environments are
others, and so is often the rule by which the checkpoint was chosen.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from zoo_leaderboard.result import Record

Kind = Literal["paper", "paper quoted by another", "library benchmark", "rerun"]
"""Whose number it is: the authors' own, read in their paper or in another that quotes it; a
library's own implementation; somebody's run of the authors' code."""
Checkpoint = Literal["last", "best", "online selected", "not stated"]
"""Whose score it is: the last checkpoint's; the best evaluation's; that of a checkpoint which was
chosen by evaluating in the environment."""


class Fact(Record):
    """Base of what the file holds: a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid")


class Counterpart(Fact):
    """Datasets of ours, each with the published ones that it is nearest to, and what differs."""

    version: str
    """The published environment's library and version. D4RL's own environments have the version
    of the dataset."""
    data: str
    """How the data differ, in a sentence."""
    environment: str
    """How the environments differ, in a sentence."""
    scale: str
    """What 0 and 100 are on either side, in a sentence."""
    datasets: dict[str, tuple[str, ...]]
    """Our dataset id or expression -> published dataset ids; D4RL's, without `-v` and a number
    where the source does not state it."""


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Numbers = Annotated[
    tuple[float, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=2)
]
"""A mean and, where it is stated, a standard deviation over seeds."""


class SourceTable(Fact):
    """The scores that one source has, in D4RL's normalisation times 100."""

    source: str = Field(min_length=1)
    """Paper, or repository@commit and file."""
    kind: Kind
    checkpoint: Checkpoint
    seeds: int | None = None
    """How many; none where the source does not state it."""
    note: str = ""
    """What holds for the whole table."""
    algorithms: dict[str, tuple[str, ...]]
    """The algorithm's published name -> the names of ours that it stands beside."""
    remarks: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Dataset -> published name -> a doubt about that score."""
    scores: dict[str, dict[str, Numbers]]
    """Dataset -> published name -> mean, or mean and standard deviation."""


class PublishedScore(Record):
    """One published score."""

    name: str
    """The algorithm's name in the source."""
    dataset: str
    dataset_version: str
    """Such as `v2`; `not stated`."""
    environment: str
    score_mean: float
    """Normalised, 0 to 100."""
    score_std: float | None
    """Over seeds; none where the source does not state it."""
    seeds: int | None
    """How many; none where the source does not state it."""
    checkpoint: Checkpoint
    kind: Kind
    source: str
    note: str
    """What holds for all scores of the source's table."""
    remark: str
    """A doubt about this score."""


class Published(Fact):
    """Everything that is known of published scores."""

    counterparts: tuple[Counterpart, ...]
    tables: tuple[SourceTable, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ours = Counter(dataset for c in self.counterparts for dataset in c.datasets)
        theirs = {
            name for c in self.counterparts for names in c.datasets.values() for name in names
        }
        if twice := [dataset for dataset, count in ours.items() if count > 1]:
            raise ValueError(f"{twice[0]} has two counterparts")
        for table in self.tables:
            for dataset, scores in table.scores.items():
                if dataset not in theirs:
                    raise ValueError(f"{table.source}: no dataset of ours stands beside {dataset}")
                if unknown := sorted(set(scores) - set(table.algorithms)):
                    raise ValueError(f"{table.source}: {unknown[0]} is none of its algorithms")
            for dataset, remarks in table.remarks.items():
                for name in remarks:
                    if name not in table.scores.get(dataset, {}):
                        raise ValueError(f"{table.source}: no score of {name} on {dataset}")
        return self

    def counterpart(self, dataset: str) -> Counterpart | None:
        """What stands beside a dataset of ours, given by its id or expression; none if nothing."""
        return next((c for c in self.counterparts if dataset in c.datasets), None)

    def scores(self, algorithm: str, dataset: str) -> list[PublishedScore]:
        """The published scores that stand beside an algorithm on a dataset of ours.

        The last checkpoints' come first, as ours are; else the file's order.
        """
        counterpart = self.counterpart(dataset)
        if counterpart is None:
            return []
        found = [
            _score(table, name, theirs, counterpart)
            for theirs in counterpart.datasets[dataset]
            for table in self.tables
            for name in table.scores.get(theirs, {})
            if algorithm in table.algorithms[name]
        ]
        return sorted(found, key=lambda score: score.checkpoint != "last")


def _score(table: SourceTable, name: str, dataset: str, counterpart: Counterpart) -> PublishedScore:
    numbers = table.scores[dataset][name]
    version = re.search(r"-(v\d+)$", dataset)
    return PublishedScore(
        name=name,
        dataset=dataset,
        dataset_version=version[1] if version else "not stated",
        environment=counterpart.version,
        score_mean=numbers[0],
        score_std=numbers[1] if len(numbers) > 1 else None,
        seeds=table.seeds,
        checkpoint=table.checkpoint,
        kind=table.kind,
        source=table.source,
        note=table.note,
        remark=table.remarks.get(dataset, {}).get(name, ""),
    )


@cache
def load_published() -> Published:
    """The shipped file of published scores."""
    file = resources.files("zoo_leaderboard.report") / "published.toml"
    return Published.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
