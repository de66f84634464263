import pytest

from zoo_core.testing import check_refused, checks_of


@pytest.mark.parametrize("check", checks_of("cql"), ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    "assignment",
    [
        "lagrange_threshold=-1",
        "lagrange_threshold=0",
        "lagrange_threshold=-1e30",
        "train.actor_critic.cql_penalty.threshold=-1",
        "min_q_weight=-1",
        "candidates=0",
        "softmax_temperature=0",
        "policy_eval_start=-1",
        "regularizer=G",
        "critic_lr=0",
    ],
)
def test_values_outside_their_meaning_are_refused_by_name(assignment):
    check_refused("cql", assignment)
