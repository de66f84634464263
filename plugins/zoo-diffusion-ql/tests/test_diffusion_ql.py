import pytest

from zoo_core.testing import check_refused, checks_of


@pytest.mark.parametrize("check", checks_of("diffusion_ql"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    "assignment",
    [
        "eta=-1",
        "max_grad_norm=0",
        "average_every=0",
        "average_start=0",
        "critic_lr=0",
        "tau=1.5",
        "sampler.steps=0",
        "acts.best_of_50.temperature=0",
    ],
)
def test_values_outside_their_meaning_are_refused_by_name(assignment):
    check_refused("diffusion_ql", assignment)
