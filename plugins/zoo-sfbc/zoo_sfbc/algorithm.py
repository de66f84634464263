"""SfBC: select from behaviour candidates (Chen et al. 2023, arXiv:2209.14548).

A diffusion clones the data. A critic is fitted in rounds to values that are planned along the
logged trajectories with actions of that diffusion alone. Acting resamples the diffusion's actions
by the critic.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from zoo_core import (
    Act,
    Adam,
    AlgorithmSpec,
    Citation,
    Part,
    Stage,
    Term,
    Update,
    hookimpl,
)
from zoo_sfbc.config import SfBCConfig
from zoo_sfbc.planning import Plan


def parts(config: SfBCConfig) -> Mapping[str, Part]:
    """The paper's residual denoiser in continuous time, and one critic of two layers of 256."""
    diffusion = Part(
        "dpm_solver",
        network="unet",
        hidden=512,
        time_dim=32,
        reduction="sum",
        trained_from=1e-5,
        end=1e-3,
        steps=15,
        order=3,
        method="singlestep",
        expand="noise",
        spacing="time",
        denoise_to_zero=False,
        clip=False,
    )
    return {"sampler": diffusion, "critic": Part("twin_q", members=1, activation="silu")}


def stages(config: SfBCConfig) -> tuple[Stage, ...]:
    """The behaviour model, then K rounds, each of a plan and a critic that starts anew."""
    behaviour_steps = round(config.behaviour_share * config.steps)
    behaviour_steps = min(max(behaviour_steps, 1), config.steps - config.rounds)
    clone = Update("behaviour", trains={"sampler": Adam(lr=config.lr)}, losses=(Term("nll"),))
    fit = Update("fit", trains={"critic": Adam(lr=config.critic_lr)}, losses=(Term("regress"),))
    plan = Plan(config)
    rest, rounds = config.steps - behaviour_steps, range(config.rounds)
    borders = [rest * k // config.rounds for k in (*rounds, config.rounds)]
    critics = (
        Stage(
            f"round_{k + 1}",
            borders[k + 1] - borders[k],
            (fit,),
            prepare=plan.prepare,
            prepares=("returns", "targets"),
            reset=("critic",),
        )
        for k in rounds
    )
    return (Stage("clone", behaviour_steps, (clone,)), *critics)


def acts(config: SfBCConfig) -> tuple[Act, ...]:
    """A draw by exp(100 Q) among 32 candidates; beside it the behaviour itself."""
    drawn = Act(
        name="resampled", choose="softmax", n=32, score="critic", reduce="first", temperature=0.01
    )
    return (drawn, Act(name="behaviour", choose="sample"))


# The official code's. Its epochs on antmaze hold twice as many samples for the critic.
TUNED: dict[str, dict[str, Any]] = {
    "*/halfcheetah*": {"acts.resampled.average": 4},
    "*/hopper*": {"acts.resampled.average": 4},
    "*/walker2d*": {"acts.resampled.average": 4},
    "*/antmaze*": {"steps": 684_000, "behaviour_share": 0.857},
    "*/antmaze?large*": {"critic.hidden": (512, 256, 256), "critic.layers": 3},
}

SPEC = AlgorithmSpec(
    name="sfbc",
    config=SfBCConfig,
    cite=Citation(
        "Offline Reinforcement Learning via High-Fidelity Generative Behavior Modeling",
        "Chen, Lu, Ying, Su and Zhu",
        2023,
        "https://arxiv.org/abs/2209.14548",
        code="https://github.com/ChenDRAG/SfBC",
        bibtex="""@inproceedings{chen2023offline,
  title={Offline Reinforcement Learning via High-Fidelity Generative Behavior Modeling},
  author={Chen, Huayu and Lu, Cheng and Ying, Chengyang and Su, Hang and Zhu, Jun},
  booktitle={International Conference on Learning Representations},
  year={2023}
}""",
    ),
    summary="selects among a diffusion's actions by a critic of in-sample planning",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper={"discount": 0.99, "alpha": 20.0, "samples": 16, "sampler.steps": 15, "floor": False}
    | {"acts.resampled.n": 32, "critic.members": 1},
    deviations=(
        "What the critic learns is the paper's R_t; the official code raises it to V(s_t): "
        "--set floor=true.",
        "Planning goes on with the value of a truncated episode's last observation; the official "
        "code ends the episode there: --set bootstrap_truncations=false.",
        "Planned values are divided by a deviation of at least a tenth of the largest reward; the "
        "official code's is at least 0.1, which is the same where rewards are up to 1.",
        "K is 2 on every dataset, the official code's default; the paper's by task were not at "
        "hand.",
        "Steps, not epochs: the official 600 epochs of 4 million samples, then 100 of 1 million a "
        "round (2 million on antmaze), the last round 99.",
        "Batches are drawn with replacement; the official code goes through shuffled data.",
        "The official code's mean of 4 drawn actions on locomotion is in the tuned values only.",
        "Antmaze data as they are: the official code drops episodes of less than 5 steps and the "
        "last step of truncated ones, and mends rewards of one dataset.",
    ),
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`sfbc`."""
    return (SPEC,)
