import pytest

from zoo_core import ZooError, resolve
from zoo_core.testing import checks_of


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
    with pytest.raises(ZooError) as caught:
        resolve("diffusion_bc", [assignment])
    assert str(caught.value).startswith(f"{assignment.partition('=')[0]}: input should be")
    assert "\n" not in str(caught.value)
