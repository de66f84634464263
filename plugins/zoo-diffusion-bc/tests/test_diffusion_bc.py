import pytest

from zoo_core.testing import check_refused, checks_of


@pytest.mark.parametrize("check", checks_of("diffusion_bc"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    "assignment",
    [
        "lr=0",
        "steps=0",
        "batch_size=0",
        "sampler.steps=0",
        "sampler.schedule=square",
        "sampler.hidden=-1",
    ],
)
def test_values_outside_their_meaning_are_refused_by_name(assignment):
    check_refused("diffusion_bc", assignment)
