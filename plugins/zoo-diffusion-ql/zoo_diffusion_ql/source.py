"""Where Diffusion-QL is from: citation, the paper's values, those by dataset, and every
difference."""

from typing import Any

from zoo_core import Citation

CITE = Citation(
    "Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning",
    "Wang, Hunt and Zhou",
    2023,
    "https://arxiv.org/abs/2208.06193",
    code="https://github.com/Zhendong-Wang/Diffusion-Policies-for-Offline-RL",
    bibtex="""@inproceedings{wang2023diffusion,
  title={Diffusion Policies as an Expressive Policy Class for Offline Reinforcement Learning},
  author={Wang, Zhendong and Hunt, Jonathan J and Zhou, Mingyuan},
  booktitle={International Conference on Learning Representations},
  year={2023}
}""",
)

PAPER: dict[str, Any] = {
    "sampler.steps": 5,
    "sampler.schedule": "vp",
    "batch_size": 256,
    "discount": 0.99,
    "tau": 0.005,
    "train.actor.q_norm.scale_at": "data",
    "acts.best_of_50.n": 1,
}

ANTMAZE: dict[str, Any] = {"steps": 1_000_000, "reward": "antmaze"}


def _row(lr: float, eta: float, clip: float, steps: int = 2_000_000, **more: Any) -> dict[str, Any]:
    return {"lr": lr, "eta": eta, "max_grad_norm": clip, "steps": steps, **more}


# The official code's table. A later pattern wins; "medium*expert" is the sum of two datasets too.
TUNED = {
    "*/halfcheetah?medium-v*": _row(3e-4, 1.0, 9.0),
    "*/hopper?medium-v*": _row(3e-4, 1.0, 9.0),
    "*/walker2d?medium-v*": _row(3e-4, 1.0, 1.0),
    "*/halfcheetah?medium-replay-v*": _row(3e-4, 1.0, 2.0),
    "*/hopper?medium-replay-v*": _row(3e-4, 1.0, 4.0),
    "*/walker2d?medium-replay-v*": _row(3e-4, 1.0, 4.0),
    "*/halfcheetah?medium*expert-v*": _row(3e-4, 1.0, 7.0),
    "*/hopper?medium*expert-v*": _row(3e-4, 1.0, 5.0),
    "*/walker2d?medium*expert-v*": _row(3e-4, 1.0, 5.0),
    "*/antmaze?umaze-v*": _row(3e-4, 0.5, 2.0, **ANTMAZE),
    "*/antmaze?umaze-diverse-v*": _row(3e-4, 2.0, 3.0, max_q_backup=True, **ANTMAZE),
    "*/antmaze?medium-play-v*": _row(1e-3, 2.0, 2.0, max_q_backup=True, **ANTMAZE),
    "*/antmaze?medium-diverse-v*": _row(3e-4, 3.0, 1.0, max_q_backup=True, **ANTMAZE),
    "*/antmaze?large-play-v*": _row(3e-4, 4.5, 10.0, max_q_backup=True, **ANTMAZE),
    "*/antmaze?large-diverse-v*": _row(3e-4, 3.5, 7.0, max_q_backup=True, **ANTMAZE),
    "*/pen?human-v*": _row(3e-5, 0.15, 7.0, steps=1_000_000, reward="standardise"),
    "*/pen?cloned-v*": _row(3e-5, 0.1, 8.0, steps=1_000_000, reward="standardise"),
    "*/kitchen?complete-v*": _row(3e-4, 0.005, 9.0, steps=250_000),
    "*/kitchen?[mp]*-v*": _row(3e-4, 0.005, 10.0, steps=1_000_000),
}

DEVIATIONS = (
    "Q is divided by the other member's mean |Q| at the policy's actions, by a coin (official "
    "code); equation 3 has the data's actions: --set train.actor.q_norm.scale_at=data.",
    "Acts by a softmax over 50 candidates of the live policy (official code); the paper "
    "samples once, which is the act `sample`.",
    "The policy's average moves every 5 steps from step 1001 (official code), not every step.",
    "The denoising error is averaged over action dimensions, on which eta's weight depends.",
    "No learning-rate decay: the official --lr_decay lowers the rate by 0.1 % over a run.",
    "The score is the last checkpoint's; the paper reports a selected one.",
)
