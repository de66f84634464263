import pytest

from zoo_core.testing import check_refused, checks_of


@pytest.mark.parametrize("check", checks_of("td3_bc"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    "assignment",
    [
        "alpha=-1",
        "policy_noise=-0.1",
        "noise_clip=0",
        "policy_every=0",
        "discount=1.01",
        "tau=0",
        "lr=0",
        "train.critic.td.smoothing=-1",
    ],
)
def test_values_outside_their_meaning_are_refused_by_name(assignment):
    check_refused("td3_bc", assignment)
