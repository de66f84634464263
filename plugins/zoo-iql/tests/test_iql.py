import pytest

from zoo_core.testing import checks_of


@pytest.mark.parametrize("check", checks_of("iql"), ids=str)
def test_conformance(check):
    check()
