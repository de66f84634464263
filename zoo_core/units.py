"""Warnings about data on a scale far from 1, near which networks and critics start."""

from collections.abc import Iterator

from zoo_core.agent import Agent
from zoo_core.data import OfflineData

SMALL, LARGE = 1e-3, 1e4
"""Bounds outside of which observations that are not normalised are out of scale."""
SMALL_REWARD, LARGE_REWARD = 1e-6, 1e6
"""Bounds outside of which rewards from which a critic bootstraps are out of scale."""


def out_of_scale(agent: Agent, data: OfflineData) -> Iterator[str]:
    """A line for the observations and one for the rewards, where they are out of scale.

    Args:
        agent: Agent whose settings and reward rule count.
        data: Data as logged.
    """
    if not agent.recipe.config.normalize_observations:
        low, high = data.observations.aminmax(dim=0)
        spread, reach = float((high - low).max()), float(high.maximum(-low).max())
        advice = "networks expect values near 1; set normalize_observations=true"
        if 0.0 < spread < SMALL:
            yield f"dataset '{data.name}': observations vary by at most {spread:.3g}: {advice}"
        elif reach > LARGE:
            yield f"dataset '{data.name}': observations reach {reach:.3g}: {advice}"
    losses = agent.recipe.losses.values()
    if any("discount" in type(bound.config).model_fields for bound in losses):
        largest = agent.largest_reward(data)
        if 0.0 < largest < SMALL_REWARD or largest > LARGE_REWARD:
            yield (
                f"dataset '{data.name}': rewards reach {largest:.3g} under reward="
                f"{agent.recipe.config.reward}, and critics start near 1: set reward=standardise"
            )
