import pytest

from zoo_core.testing import checks_of


@pytest.mark.parametrize("check", [*checks_of("bc"), *checks_of("bc_deterministic")], ids=str)
def test_conformance(check):
    check()
