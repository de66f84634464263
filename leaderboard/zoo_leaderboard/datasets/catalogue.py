"""Catalogue of the embedded, local and remote datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets import embedded
from zoo_leaderboard.datasets.cache import stored_notes
from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.home import zoo_home
from zoo_leaderboard.datasets.known import known_environment
from zoo_leaderboard.datasets.locate import local_ids, require_network
from zoo_leaderboard.datasets.metadata import Metadata, checked, read_metadata
from zoo_leaderboard.datasets.reading import spaces_of
from zoo_leaderboard.datasets.reference import Reference, reference_of, unused_reference
from zoo_leaderboard.datasets.spaces import ActionScaling, observation_size

Where = Literal["embedded", "zoo", "local", "remote"]


@dataclass(frozen=True)
class DatasetInfo:
    """One dataset as `zoo datasets` lists it; fields missing from its metadata are None."""

    id: str
    where: Where
    """Built by the zoo; downloaded into the zoo's folder; in Minari's; on Minari's server."""
    built: bool = True
    """False for an embedded set that its first use will build."""
    episodes: int | None = None
    steps: int | None = None
    observation_dim: int | None = None
    """Numbers in a flattened observation."""
    action_dim: int | None = None
    environment: str | None = None
    """Gymnasium's id."""
    reference: Reference | None = None
    unused_reference: str = ""
    """Why reference scores of the environment's name do not count for it, in a line."""
    megabytes: float | None = None
    """The size of its files."""
    author: str | None = None
    code: str | None = None
    """A link to the code that made it."""
    license: str | None = None
    description: str | None = None
    problem: str | None = None
    """Why the zoo cannot use it, in a line; None if it can."""
    notes: tuple[str, ...] = ()
    """Lines on what float32 loses of its numbers; empty before its first use."""


def listing(remote: bool = False) -> list[DatasetInfo]:
    """Embedded sets (built or not), then those on this machine, then, if asked, Minari's own.

    No data are read. A set that is here is not listed as remote again.

    Raises:
        ZooError: `remote` is asked for and Minari's server does not answer.
    """
    paths = local_ids()
    rows = [
        _local(id, "embedded", paths[id])
        if id in paths
        else DatasetInfo(id, "embedded", built=False, description=embedded.summary(id))
        for id in embedded.IDS
    ]
    for id, path in sorted(paths.items()):
        if id not in embedded.IDS:
            ours = path.is_relative_to(zoo_home())
            rows.append(_local(id, "zoo" if ours else "local", path))
    if remote:
        rows += [
            _row(id, "remote", partial(checked, metadata, f"'{id}'"))
            for id, metadata in sorted(_remote().items())
            if id not in paths
        ]
    return rows


def _remote() -> Mapping[str, Any]:
    try:
        require_network()
        import minari

        found: Mapping[str, Any] = minari.list_remote_datasets()
        return found
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZooError(
            f"Minari's remote datasets cannot be listed ({reason}); check the network or its "
            "proxy (HTTPS_PROXY), or leave out --remote"
        ) from None


def _local(id: str, where: Where, path: Path) -> DatasetInfo:
    row = _row(id, where, partial(read_metadata, path))
    return replace(row, notes=stored_notes(id, path))


def _row(id: str, where: Where, metadata: Callable[[], Metadata]) -> DatasetInfo:
    """A dataset's line; what is wrong with its metadata becomes its problem."""
    try:
        return _info(id, where, metadata())
    except ZooError as error:
        return DatasetInfo(id, where, problem=str(error))


def _info(id: str, where: Where, metadata: Metadata) -> DatasetInfo:
    observation_dim = action_dim = problem = None
    environment = Environment.of(metadata) or known_environment(id)
    described = metadata.get("observation_space") and metadata.get("action_space")
    try:
        # Metadata of old versions leave the spaces to the environment, which is not made here.
        if described or environment is None:
            space, action_space = spaces_of(metadata)
            observation_dim = observation_size(id, space)
            action_dim = len(ActionScaling.of(id, action_space).low)
    except ZooError as error:
        problem = str(error)
    task = environment.task if environment else None
    return DatasetInfo(
        id,
        where,
        episodes=metadata.get("total_episodes"),
        steps=metadata.get("total_steps"),
        observation_dim=observation_dim,
        action_dim=action_dim,
        environment=environment.id if environment else None,
        reference=reference_of(metadata, task),
        unused_reference=unused_reference(task),
        megabytes=metadata.get("dataset_size"),
        author=metadata.get("author"),
        code=metadata.get("code_permalink"),
        license=metadata.get("license"),
        description=metadata.get("description"),
        problem=problem,
    )
