"""Changes since a result was produced."""

from __future__ import annotations

from zoo_core.errors import ZooError
from zoo_core.version import SEMANTICS
from zoo_leaderboard.planning.planner import Planner, environment_of
from zoo_leaderboard.result import Cell, Ingredients


def why_stale(was: Ingredients, cell: Cell, planner: Planner) -> str:
    """Lists the changes since a result was produced, in a few words; empty if it still holds.

    Only what can be checked here counts: of an algorithm that is not installed, or a dataset that
    is not on this machine or cannot be read, nothing is said.

    Args:
        was: Ingredients of the result.
        cell: Cell of the result.
        planner: Knows the track and the installed code.
    """
    if cell.algorithm not in planner.registry.algorithms:
        return ""
    try:
        recipe, code = planner.resolved(cell)
    except ZooError as error:
        return str(error)
    now = was.model_copy(
        update={
            "sources": code,
            "semantics": SEMANTICS,
            "config": recipe.values(),
            "protocol": planner.track.protocol,
        }
    )
    dataset = planner.of_local(
        cell.dataset,
        lambda found: {
            "dataset_digest": found.data.digest,
            "environment": environment_of(found),
        },
    )
    return "; ".join(was.differences(now.model_copy(update=dataset or {})))
