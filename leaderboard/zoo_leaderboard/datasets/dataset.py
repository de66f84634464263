"""A dataset as the leaderboard uses it: data, environment, reference scores."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo_core.data import OfflineData, Space
from zoo_core.errors import ZooError, ZooWarning
from zoo_leaderboard.datasets.cache import cached
from zoo_leaderboard.datasets.environment import Environment, Observation, make_vector_env
from zoo_leaderboard.datasets.expression import Expression, Term, parse
from zoo_leaderboard.datasets.known import known_environment
from zoo_leaderboard.datasets.locate import locate
from zoo_leaderboard.datasets.metadata import Metadata, read_metadata
from zoo_leaderboard.datasets.reading import read, spaces_of
from zoo_leaderboard.datasets.reference import Reference, reference_of
from zoo_leaderboard.datasets.spaces import ActionScaling, observation_size
from zoo_leaderboard.datasets.task import differences

if TYPE_CHECKING:
    import gymnasium


def find(expression: str, *, download: bool = True) -> Dataset:
    """The dataset of an id or an expression such as `0.5*A-v0 + B-v0`.

    Its files are located, built or downloaded and its metadata are read; the data themselves are
    read when `data` is first asked for.

    Raises:
        UnknownName: no such dataset; the message offers the nearest names.
        ZooError: a malformed expression; a set that is not here and cannot be downloaded; spaces
            that the zoo does not read; members of a sum that do not fit together.
    """
    parsed = parse(expression)
    dataset = Dataset(parsed, tuple(_member(term, download) for term in parsed.terms))
    dataset.check()
    return dataset


@dataclass(frozen=True, eq=False)
class Member:
    """One term of an expression and the files that it stands for."""

    term: Term
    data_path: Path
    """Its `data` folder in Minari's format."""
    metadata: Metadata
    """Minari's metadata as stored and checked: author, code_permalink, description, license, ..."""

    @cached_property
    def spaces(self) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        """The observation and the action space, as logged."""
        return spaces_of(self.metadata)

    @cached_property
    def environment(self) -> Environment | None:
        """Evaluation environment; None if neither the metadata nor `environments.toml` name one."""
        return Environment.of(self.metadata) or known_environment(self.term.id)

    @cached_property
    def logged(self) -> Environment | None:
        """Environment that the data were logged in; None if the metadata do not name it."""
        return Environment.logged(self.metadata)

    @cached_property
    def reference(self) -> Reference | None:
        """Its own reference returns, or D4RL's for its environment."""
        return reference_of(self.metadata, self.environment.task if self.environment else None)

    def load(self) -> OfflineData:
        """The term's episodes, in order; the whole set is memory-mapped from the flat cache.

        Warns:
            ZooWarning: float32 loses some of its numbers.
        """
        name = self.term.id
        copy = cached(name, self.data_path, lambda: read(name, self.data_path, self.metadata))
        for note in copy.notes:
            warnings.warn(note, ZooWarning, stacklevel=2)
        return copy.data if self.term.fraction == 1 else _fraction(copy.data, self.term)


@dataclass(frozen=True, eq=False)
class Dataset:
    """An expression over datasets, found on this machine. Made by :func:`find`."""

    expression: Expression
    members: tuple[Member, ...]

    @property
    def name(self) -> str:
        """The canonical form of its expression."""
        return str(self.expression)

    @cached_property
    def data(self) -> OfflineData:
        """The episodes of all members, one after another; read when first asked for.

        A single whole set is memory-mapped; sums and fractions are copied into memory.

        Raises:
            ZooError: whatever is wrong with the data, with the dataset and the episode.
        """
        parts = [member.load() for member in self.members]
        return parts[0] if len(parts) == 1 else _joined(parts, self.name)

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The logged observation space, before flattening."""
        return self.members[0].spaces[0]

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The logged action space, before scaling."""
        return self.members[0].spaces[1]

    @cached_property
    def scaling(self) -> ActionScaling:
        """Between the environment's action bounds and [-1, 1]."""
        return ActionScaling.of(self.name, self.action_space)

    @cached_property
    def space(self) -> Space:
        """The sizes of flat observations and actions, known before any data load."""
        return Space(observation_size(self.name, self.observation_space), len(self.scaling.low))

    @property
    def environment(self) -> Environment | None:
        """Evaluation environment, which all members share."""
        return self.members[0].environment

    @property
    def reference(self) -> Reference | None:
        """The reference returns of the first member that has some; none if none has."""
        return next((m.reference for m in self.members if m.reference), None)

    @property
    def episodes(self) -> int:
        """E."""
        return len(self.data.lengths)

    @property
    def steps(self) -> int:
        """N."""
        return len(self.data)

    def make_env(self, render_mode: str | None = None) -> gymnasium.Env[Observation, Observation]:
        """A new environment that gives flat observations [O] float32 and takes actions [A] in
        [-1, 1]. Its rewards, terminations and truncations are the environment's own.

        Args:
            render_mode: Gymnasium's render mode, such as `rgb_array`. If None, no rendering.

        Raises:
            ZooError: no environment is named; a package is missing (the message names the pip
                install); the installed version has other spaces than the data.
        """
        if self.environment is None:
            raise ZooError(
                f"dataset '{self.name}' names no environment, so nothing can be evaluated on it"
            )
        return make_vector_env(
            self.environment, self.observation_space, self.scaling, self.name, render_mode
        )

    def check(self) -> None:
        """Checks that the zoo can read the dataset and that its members fit together.

        Raises:
            ZooError: they do not.
        """
        first = self.members[0]
        for member in self.members:
            ours, theirs = member.spaces[0], first.spaces[0]
            observation_size(member.term.id, ours)
            scaling = ActionScaling.of(member.term.id, member.spaces[1])
            pair = f"'{first.term.id}' and '{member.term.id}' cannot be joined"
            if ours != theirs:
                raise ZooError(f"{pair}: their observation spaces differ")
            if scaling != self.scaling:
                raise ZooError(f"{pair}: their action spaces differ")
            if different := _differences(first, member):
                raise ZooError(
                    f"{pair}: they come from different environments or settings of one "
                    f"(other {', '.join(different)})"
                )


def _member(term: Term, download: bool) -> Member:
    path = locate(term.id, download)
    return Member(term, path, read_metadata(path))


def _differences(one: Member, other: Member) -> list[str]:
    """Differences between the environments of two members, for evaluation and for logging.

    Time limits of the logging environments are ignored.
    """
    mine, theirs = one.environment, other.environment
    if mine is None or theirs is None:
        return [] if mine is theirs else ["ids"]
    found = differences(mine.task, theirs.task)
    logged = differences((one.logged or mine).task, (other.logged or theirs).task)
    found += [part for part in logged if part != "time limits"]
    return list(dict.fromkeys(found))


def _fraction(data: OfflineData, term: Term) -> OfflineData:
    """The episodes that the term keeps, whole and in order."""
    kept = torch.tensor([term.keeps(episode) for episode in range(len(data.lengths))])
    if not kept.any():
        raise ZooError(
            f"dataset '{term}' is empty: {float(term.fraction):g} of "
            f"{len(kept)} episodes is less than one"
        )
    return select(data, kept, str(term))


def select(data: OfflineData, kept: torch.Tensor, name: str) -> OfflineData:
    """A copy of some of the episodes, whole and in order.

    Args:
        data: The episodes.
        kept: [E] bool.
        name: Name of the dataset in messages.
    """
    steps = torch.repeat_interleave(kept, data.lengths)
    rows = torch.repeat_interleave(kept, data.lengths + 1)
    return OfflineData(
        observations=data.observations[rows],
        actions=data.actions[steps],
        rewards=data.rewards[steps],
        terminations=data.terminations[steps],
        truncations=data.truncations[steps],
        lengths=data.lengths[kept],
        name=name,
        ends=tuple(int(kept[: end % len(kept)].sum()) for end in data.ends if kept[end]),
    )


def _joined(parts: list[OfflineData], name: str) -> OfflineData:
    ends, episodes = [], 0
    for part in parts:
        ends += [episodes + end % len(part.lengths) for end in part.ends]
        episodes += len(part.lengths)
    return OfflineData(
        observations=torch.cat([part.observations for part in parts]),
        actions=torch.cat([part.actions for part in parts]),
        rewards=torch.cat([part.rewards for part in parts]),
        terminations=torch.cat([part.terminations for part in parts]),
        truncations=torch.cat([part.truncations for part in parts]),
        lengths=torch.cat([part.lengths for part in parts]),
        name=name,
        ends=tuple(ends),
    )
