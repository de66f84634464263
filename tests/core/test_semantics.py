"""A pinned trajectory: a change that alters training results must raise `zoo_core.SEMANTICS`."""

import pytest
import torch
from toys import toy_registry

from zoo_core import SEMANTICS, Trainer, resolve
from zoo_core.testing import toy_data

PINNED = {2: {"sampler": 2.881827157564589, "value": 1.600138791941639}}
"""By SEMANTICS: the norm of each part's parameters after 30 steps in float64, seed 0."""


def test_results_change_only_with_the_number_that_marks_them():
    recipe = resolve("toy", registry=toy_registry())
    agent = Trainer(recipe, toy_data(), dtype=torch.float64).run().agent()
    norms = {
        name: float(torch.nn.utils.parameters_to_vector(part.parameters()).norm())
        for name, part in agent.live.items()
    }
    assert SEMANTICS in PINNED, "pin the new trajectory and drop the old one"
    assert norms == pytest.approx(PINNED[SEMANTICS], rel=1e-9), "raise zoo_core.SEMANTICS"
