"""Where EDP is from: citation, the paper's values, those by dataset, and every difference."""

from collections.abc import Mapping
from typing import Any

from zoo_core import Citation

CITE = Citation(
    title="Efficient Diffusion Policies for Offline Reinforcement Learning",
    authors="Kang, Ma, Du, Pang and Yan",
    year=2023,
    url="https://arxiv.org/abs/2305.20081",
    code="https://github.com/sail-sg/edp",
    bibtex="""@inproceedings{kang2023efficient,
  title={Efficient Diffusion Policies for Offline Reinforcement Learning},
  author={Kang, Bingyi and Ma, Xiao and Du, Chao and Pang, Tianyu and Yan, Shuicheng},
  booktitle={Advances in Neural Information Processing Systems},
  year={2023}
}""",
)

PAPER: dict[str, Any] = {
    "steps": 2_000_000,
    "batch_size": 256,
    "lr": 3e-4,
    "discount": 0.99,
    "tau": 0.005,
    "sampler.trained_steps": 1000,
    "sampler.steps": 15,
    "sampler.hidden": 256,
    "sampler.layers": 3,
    "critic.hidden": 256,
    "critic.layers": 3,
}

# The official table's norms, the one column that its trainer reads; later patterns win, and
# "medium*expert" is the sum of two datasets too.
CLIPPING: dict[str, float] = {
    "*/halfcheetah?medium-v*": 9.0,
    "*/hopper?medium-v*": 9.0,
    "*/walker2d?medium-v*": 1.0,
    "*/halfcheetah?medium-replay-v*": 2.0,
    "*/hopper?medium-replay-v*": 4.0,
    "*/walker2d?medium-replay-v*": 4.0,
    "*/halfcheetah?medium*expert-v*": 7.0,
    "*/hopper?medium*expert-v*": 5.0,
    "*/walker2d?medium*expert-v*": 5.0,
    "*/antmaze?umaze-v*": 2.0,
    "*/antmaze?umaze-diverse-v*": 3.0,
    "*/antmaze?medium-play-v*": 2.0,
    "*/antmaze?medium-diverse-v*": 1.0,
    "*/antmaze?large-play-v*": 10.0,
    "*/antmaze?large-diverse-v*": 7.0,
    "*/pen?human-v*": 7.0,
    "*/pen?cloned-v*": 8.0,
    "*/kitchen?complete-v*": 9.0,
    "*/kitchen?[mp]*-v*": 10.0,
}


def tuned(antmaze: str, locomotion: str = "none") -> Mapping[str, Mapping[str, Any]]:
    """The official code's settings by dataset pattern: rewards by domain, clipping by dataset.

    Args:
        antmaze: The reward rule of AntMaze.
        locomotion: That of halfcheetah, hopper and walker2d.
    """
    rules = dict.fromkeys(("halfcheetah", "hopper", "walker2d"), locomotion)
    rules |= dict.fromkeys(("pen", "door", "hammer", "relocate", "kitchen"), "unit_range")
    rules |= {"antmaze": antmaze}
    rewards = {f"*/{name}[/-]*": {"reward": rule} for name, rule in rules.items() if rule != "none"}
    return rewards | {name: {"max_grad_norm": norm} for name, norm in CLIPPING.items()}


COMMON = (
    "Trains with 1000 steps and samples by DPM-Solver in 15 calls, as the paper does; the official "
    "code's default is DDPM in 100 steps with linear betas scaled by 1000 / T, to which "
    "--set sampler=ddpm --set sampler.steps=100 --set sampler.schedule=vp is near.",
    "Acts by a softmax over 10 candidates (the paper); the official code draws 50, which is the "
    "act `best_of_50`.",
    "Clean actions are clipped on the way with the coefficients of the exact time, which the "
    "solver's own step has; the official code takes those of the step below.",
    "Sampled actions are clipped to [-1, 1]; the official code leaves the solver's last step "
    "unclipped but where it takes the best of 10.",
    "The time embedding is Diffusion-QL's (sines first, frequencies 10000^(-i/7)); the official "
    "code's has cosines first and 10000^(-i/8).",
    "Networks start as torch.nn.Linear's do; the official code's start with LeCun's normal and "
    "biases 0.",
    "Gradients of both critics are clipped together; the official code clips each by itself.",
    "Clipping norms by dataset are the official table's, which holds Diffusion-QL's values; its "
    "other columns (lr, eta, max_q_backup) are not read by the official trainer, nor here.",
    "The data's actions are not clipped to 0.999: a diffusion has no infinite log-likelihood at "
    "the bounds.",
    "The score is the last checkpoint's; the paper reports the best and a mean of the last ten.",
)

LIKELIHOOD = (
    "The likelihood is that of N(â, I), as in the paper's reported runs and the code's default; "
    "`likelihood=bound` weighs the denoising error itself, without the factors of DDPM's bound "
    "that the paper's other objective has.",
    "The plain denoising error is minimised too, with weight 1 (official code).",
)
