import pytest

from zoo_core.testing import checks_of

ALGORITHMS = ("edp", "edp_crr", "edp_iql")
LOSSES = ("one_step_nll", "one_step_q", "one_step_crr", "one_step_awr")
CHECKS = [check for name in ALGORITHMS + LOSSES for check in checks_of(name)]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check):
    check()
