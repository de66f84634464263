"""The public datasets that are known without asking a server, and their environments."""

from __future__ import annotations

import fnmatch
import tomllib
from importlib import resources

from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.expression import parse


def known_ids() -> set[str]:
    """The ids of all datasets that a shipped track names, members of sums included."""
    from zoo_leaderboard import track

    tracks = (track.load_track(name) for name in track.known())
    expressions = (parse(id) for found in tracks for id in found.dataset_ids())
    return {term.id for expression in expressions for term in expression.terms}


def known_environment(id: str) -> Environment | None:
    """The environment of a public dataset as `environments.toml` has it, or none."""
    file = resources.files(__package__) / "environments.toml"
    for entry in tomllib.loads(file.read_text(encoding="utf-8"))["environments"]:
        if fnmatch.fnmatchcase(id, entry["ids"]):
            limit = entry.get("max_episode_steps")
            return Environment.named(entry["id"], entry.get("kwargs"), limit)
    return None
