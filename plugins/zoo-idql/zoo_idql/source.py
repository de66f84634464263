"""Where IDQL is from: citation, the paper's values, those by dataset, and every difference."""

from typing import Any

from zoo_core import Citation

CITE = Citation(
    title="IDQL: Implicit Q-Learning as an Actor-Critic Method with Diffusion Policies",
    authors="Hansen-Estruch, Kostrikov, Janner, Kuba and Levine",
    year=2023,
    url="https://arxiv.org/abs/2304.10573",
    code="https://github.com/philippe-eecs/IDQL",
    bibtex="""@misc{hansenestruch2023idql,
  title={IDQL: Implicit Q-Learning as an Actor-Critic Method with Diffusion Policies},
  author={Hansen-Estruch, Philippe and Kostrikov, Ilya and Janner, Michael and Kuba, Jakub Grudzien
          and Levine, Sergey},
  year={2023},
  eprint={2304.10573},
  archivePrefix={arXiv},
  primaryClass={cs.LG}
}""",
)

PAPER: dict[str, Any] = {
    "steps": 3_000_000,
    "batch_size": 512,
    "lr": 3e-4,
    "expectile": 0.7,
    "discount": 0.99,
    "tau": 0.005,
    "policy_tau": 0.001,
    "critic_every": 2,
    "sampler.steps": 5,
    "sampler.schedule": "vp",
    "sampler.dropout": 0.1,
    "sampler.layers": 3,
}

LOCOMOTION: dict[str, Any] = {"reward": "return_range"}

TUNED: dict[str, dict[str, Any]] = {
    "*/halfcheetah*": LOCOMOTION,
    "*/hopper*": LOCOMOTION,
    "*/walker2d*": LOCOMOTION,
    "*/antmaze*": {"expectile": 0.9, "reward": "minus_one"},
}

DEVIATIONS = (
    "Two policy steps per critic step, as the paper and a comment of the official script say; the "
    "published code takes one: --set critic_every=1.",
    "N is 64 on every dataset; the paper also reports a best N by domain.",
    "Value and critic see the step's batch of 512, as in the published code; the paper and another "
    "script have batches of 256 for the critic.",
    "Acts by the best of 64 of the averaged policy (official code); the paper's implicit policy is "
    "the act `reweighted`, whose weights are the expectile's only.",
    "The value normalises each observation across its dimensions, the policy's weights decay by "
    "1e-4 and the chain clips the noised action (official code, not in the paper): "
    "--set value.input_norm=false --set weight_decay=0 --set sampler.clip_noised=false.",
    "Networks start as torch.nn.Linear's do; the official code starts them by Xavier's and LeCun's "
    "rules, with biases 0.",
    "All of the data train; the official code keeps 5 % for validation, on which it never decides.",
    "The data's actions are not clipped to 1 - 1e-5.",
    "Offline only: no fine-tuning.",
)
