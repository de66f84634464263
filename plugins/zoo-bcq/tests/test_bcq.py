import pytest

from zoo_core.testing import checks_of


@pytest.mark.parametrize(
    "check", checks_of("bcq") + checks_of("perturbed") + checks_of("dpg"), ids=str
)
def test_conformance(check):
    check()
