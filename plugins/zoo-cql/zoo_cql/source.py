"""Where CQL is from: citation, the paper's values, those by dataset, and every difference."""

from typing import Any

from zoo_core import Citation

CITE = Citation(
    title="Conservative Q-Learning for Offline Reinforcement Learning",
    authors="Kumar, Zhou, Tucker and Levine",
    year=2020,
    url="https://arxiv.org/abs/2006.04779",
    code="https://github.com/aviralkumar2907/CQL",
    bibtex="""@inproceedings{kumar2020conservative,
  title={Conservative Q-Learning for Offline Reinforcement Learning},
  author={Kumar, Aviral and Zhou, Aurick and Tucker, George and Levine, Sergey},
  booktitle={Advances in Neural Information Processing Systems},
  year={2020}
}""",
)

PAPER: dict[str, Any] = {
    "batch_size": 256,
    "critic_lr": 3e-4,
    "discount": 0.99,
    "tau": 0.005,
    "candidates": 10,
    "sampler.hidden": 256,
    "critic.hidden": 256,
    "critic.members": 2,
}

GYM: dict[str, Any] = {"min_q_weight": 10.0}
LAGRANGE: dict[str, Any] = {"lagrange_threshold": 5.0}

# The official README has 5.0 or 10.0 for the gym tasks without saying which for what.
TUNED: dict[str, dict[str, Any]] = {
    "*halfcheetah*": GYM,
    "*hopper*": GYM,
    "*walker2d*": GYM,
    "*antmaze*": {**LAGRANGE, "min_q_weight": 5.0, "reward": "antmaze"},
}

DEVIATIONS = ()
