"""QGPO: Q-guided policy optimisation by contrastive energy prediction (Lu et al. 2023,
arXiv:2304.12824).

A diffusion clones the data. A critic learns from actions of that diffusion alone, an intermediate
energy learns what the critic means at every noise level, and the energy's gradient steers samples
of the diffusion towards behaviour exp(beta Q).
"""

from collections.abc import Iterable, Mapping

from zoo_core import (
    Act,
    Adam,
    Agent,
    AlgorithmSpec,
    Columns,
    Ema,
    Noise,
    OfflineData,
    Part,
    Stage,
    Term,
    Transitions,
    Update,
    drawn_actions,
    hookimpl,
)
from zoo_qgpo.config import QGPOConfig
from zoo_qgpo.held_out import hold_out
from zoo_qgpo.source import CITE, DEVIATIONS, PAPER, TUNED


def parts(config: QGPOConfig) -> Mapping[str, Part]:
    """A residual denoiser in continuous time with an energy beside it, and two critics."""
    guided = Part(
        "guided",
        network="unet",
        hidden=512,
        time_dim=32,
        reduction="sum",
        steps=15,
        order=2,
        method="singlestep",
        expand="x0",
        spacing="time",
        denoise_to_zero=False,
        clip=False,
    )
    return {"sampler": guided, "critic": Part("twin_q", layers=3)}


def stages(config: QGPOConfig) -> tuple[Stage, ...]:
    """The behaviour model; critic and energy on its support actions; the energy alone."""
    behaviour_steps, critic_steps, energy_steps = config.stage_steps()
    clone = Update(
        "behaviour",
        trains={"sampler.prior": Adam(lr=config.lr)},
        losses=(Term("held_out_nll" if config.held_out > 0.0 else "nll", name="nll"),),
    )
    td = Term("support_td", discount=config.discount, reduce=f"softmax({config.q_beta})")
    critic = Update("critic", trains={"critic": Adam(lr=config.critic_lr)}, losses=(td,))
    energy = Update(
        "energy",
        trains={"sampler.energy": Adam(lr=config.energy_lr)},
        losses=(Term("cep", beta=config.beta, method=config.method),),
    )

    def support(agent: Agent, data: OfflineData, noise: Noise) -> Columns:
        """The column `support` [N + E, M, A]: actions of the behaviour model."""
        drawn = drawn_actions(agent, data, noise, config.samples, "sampler.prior")
        return {"support": drawn.half() if config.half_support else drawn}

    return (
        Stage(
            "clone",
            behaviour_steps,
            (clone,),
            batch=Transitions(size=config.behaviour_batch_size),
            prepare=hold_out(config.held_out) if config.held_out > 0.0 else None,
            prepares=("held_out",),
        ),
        Stage(
            "train",
            critic_steps,
            (critic, energy),
            # The energy's labels are of the average that the critic's step has just moved.
            (Ema("critic", rate=config.tau, after="critic"),),
            prepare=support,
            prepares=("support",),
            prepare_reads=("sampler.prior", "samples", "half_support"),
        ),
        Stage("guide", energy_steps, (energy,)),
    )


def acts(config: QGPOConfig) -> tuple[Act, ...]:
    """One act for each guidance scale, the headline's first."""
    others = (scale for scale in config.scales if scale != config.scale)
    return tuple(Act(name=f"scale_{s:g}", scale=s) for s in (config.scale, *others))


SPEC = AlgorithmSpec(
    name="qgpo",
    config=QGPOConfig,
    cite=CITE,
    summary="steers a diffusion of the behaviour by the gradient of a learnt energy",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned=TUNED,
    paper=PAPER,
    deviations=DEVIATIONS,
)


@hookimpl
def zoo_algorithms() -> Iterable[AlgorithmSpec]:
    """`qgpo`."""
    return (SPEC,)
