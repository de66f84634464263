"""Datasets: any Minari set with continuous actions, as flat tensors with its environment.

    from zoo_leaderboard import datasets

    door = datasets.find("D4RL/door/human-v2")
    door.data.observations      # [N + E, 39], memory-mapped from the second time on
    door.make_env()             # AdroitHandDoor-v1, flat observations, actions in [-1, 1]
    door.reference.normalized(1000.0)

    datasets.find("mujoco/hopper/medium-v0 + 0.5*mujoco/hopper/expert-v0")
    datasets.listing(remote=True)

Sets are looked for in the zoo's own folder (`ZOO_HOME`), then in Minari's
(`MINARI_DATASETS_PATH`), else downloaded by Minari. The embedded ones (`zoo/...`) are built on
first use and need no network.
"""

from zoo_leaderboard.datasets.catalogue import DatasetInfo, listing
from zoo_leaderboard.datasets.dataset import Dataset, Member, find
from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.expression import Expression, Term, parse
from zoo_leaderboard.datasets.home import minari_root, zoo_home
from zoo_leaderboard.datasets.known import known_environment, known_ids
from zoo_leaderboard.datasets.reference import Reference
from zoo_leaderboard.datasets.spaces import ActionScaling, flatten_observation

__all__ = [
    "ActionScaling",
    "Dataset",
    "DatasetInfo",
    "Environment",
    "Expression",
    "Member",
    "Reference",
    "Term",
    "find",
    "flatten_observation",
    "known_environment",
    "known_ids",
    "listing",
    "minari_root",
    "parse",
    "zoo_home",
]
