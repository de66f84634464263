"""Builders of embedded datasets, and their export to Minari's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.reference import Reference
from zoo_leaderboard.datasets.writing import Episode, Transitions, write_transitions

CODE = "zoo_leaderboard/datasets/embedded in the distribution zoo-leaderboard"


@dataclass(frozen=True)
class Builder:
    """One embedded dataset."""

    id: str
    description: str
    algorithm: str
    """Description of the behaviour policy."""
    environment: Environment
    """Environment that the data are logged in."""
    evaluation: Environment
    """Environment for evaluation: the same, except for the point maze's goals."""
    reference: Reference
    episodes: Callable[[], Iterable[Episode]]
    """Generates the episodes, the same ones on every call."""
    requirements: tuple[str, ...] = ()
    """Packages to pip install for the environment."""


def write(builder: Builder, data_path: Path) -> None:
    """Writes a dataset in Minari's format into a new folder.

    Raises:
        ZooError: the environment's package is missing.
    """
    env, evaluation = builder.environment.make_raw(), builder.evaluation.make_raw()
    assert evaluation.spec is not None
    metadata = {
        "dataset_id": builder.id,
        "description": builder.description,
        "algorithm_name": builder.algorithm,
        "author": {"the zoo's contributors"},
        "code_permalink": CODE,
        "license": "MIT",
        "requirements": list(builder.requirements),
        "eval_env_spec": evaluation.spec.to_json(),
        "ref_min_score": builder.reference.min,
        "ref_max_score": builder.reference.max,
        "ref_source": builder.reference.source,
    }
    write_transitions(data_path, env, Transitions.of(builder.episodes()), metadata)
    env.close()
    evaluation.close()
