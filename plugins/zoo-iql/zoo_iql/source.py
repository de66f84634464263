"""Where IQL is from: citation, the paper's values, those by dataset, and every difference."""

from typing import Any

from zoo_core import Citation

CITE = Citation(
    title="Offline Reinforcement Learning with Implicit Q-Learning",
    authors="Kostrikov, Nair and Levine",
    year=2022,
    url="https://arxiv.org/abs/2110.06169",
    code="https://github.com/ikostrikov/implicit_q_learning",
    bibtex="""@inproceedings{kostrikov2022offline,
  title={Offline Reinforcement Learning with Implicit Q-Learning},
  author={Kostrikov, Ilya and Nair, Ashvin and Levine, Sergey},
  booktitle={International Conference on Learning Representations},
  year={2022}
}""",
)

PAPER: dict[str, Any] = {
    "steps": 1_000_000,
    "batch_size": 256,
    "lr": 3e-4,
    "policy_decay": True,
    "expectile": 0.7,
    "beta": 3.0,
    "discount": 0.99,
    "tau": 0.005,
    "sampler.hidden": 256,
    "sampler.layers": 2,
    "critic.hidden": 256,
    "critic.layers": 2,
    "value.hidden": 256,
    "value.layers": 2,
}

LOCOMOTION: dict[str, Any] = {"reward": "return_range"}
ANTMAZE: dict[str, Any] = {"expectile": 0.9, "beta": 10.0, "reward": "minus_one"}
# The official configuration of adroit and kitchen: a weaker pull, and dropout in the policy.
HUMAN: dict[str, Any] = {"expectile": 0.7, "beta": 0.5, "sampler.dropout": 0.1}

TUNED: dict[str, dict[str, Any]] = {
    "*/halfcheetah*": LOCOMOTION,
    "*/hopper*": LOCOMOTION,
    "*/walker2d*": LOCOMOTION,
    "*/antmaze*": ANTMAZE,
    "*/pen[/-][hce]*": HUMAN,
    "*/door[/-][hce]*": HUMAN,
    "*/hammer[/-][hce]*": HUMAN,
    "*/relocate[/-][hce]*": HUMAN,
    "*/kitchen[/-]*": HUMAN,
}

DEVIATIONS = (
    "The value is fitted to the averaged critic and its minimum over two members, and weights are "
    "clipped at 100, as the official code does.",
    "The policy takes a step on every batch between value and critic (official code); the paper's "
    "algorithm extracts it after the critic, which changes only which critic it sees.",
    "Networks start as torch.nn.Linear's do; the official code starts them orthogonally, scaled by "
    "sqrt(2), with biases 0.",
    "Locomotion rewards are divided by the range of whole episodes' returns; D4RL's loader, which "
    "the official code uses, drops the last step before a time-out.",
    "Actions of the data are not clipped to 1 - 1e-5: this Gaussian is not squashed.",
    "The default is the locomotion setting without its reward rule, which `tuned` adds.",
)
