import pytest

from zoo_core.testing import check_refused, checks_of


@pytest.mark.parametrize("check", checks_of("sac_off"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    "assignment",
    [
        "lr=-1",
        "discount=-0.1",
        "tau=0",
        "learn_temperature=perhaps",
        "temperature.initial=0",
        "train.actor_critic.soft_td.discount=2",
    ],
)
def test_values_outside_their_meaning_are_refused_by_name(assignment):
    check_refused("sac_off", assignment)
