"""How unlikely the data's actions are: two stand-ins for a diffusion's intractable -log pi(a | s).

EDP (arXiv:2305.20081, section 4) names both and reports the first.
"""

import math
from typing import Literal

from torch import Tensor

from zoo_core import Context
from zoo_edp.one_step import one_step

Likelihood = Literal["gaussian", "bound"]
"""`gaussian`: of the policy N(â, I) around the approximated action; `bound`: the denoising error,
which is DDPM's simplified bound."""


def negative_log_likelihood(context: Context, kind: Likelihood) -> Tensor:
    """[B], differentiable in the sampler's parameters."""
    approximated, denoising_error = one_step(context)
    if kind == "bound":
        return denoising_error
    actions = context.batch.actions
    normaliser = 0.5 * math.log(2.0 * math.pi) * actions.shape[-1]
    return 0.5 * (actions - approximated).square().sum(-1) + normaliser
