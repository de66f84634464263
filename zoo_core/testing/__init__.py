"""The conformance kit: what every algorithm, sampler, critic and loss must hold.

For authors of plugins, with pytest::

    import pytest
    from zoo_core.testing import checks_of, toy_data

    @pytest.mark.parametrize("check", checks_of("my_algorithm"), ids=str)
    def test_conformance(check):
        check()

and from the shell: `zoo check my_algorithm`. `check_refused` is for values outside their meaning.
"""

from zoo_core.testing.data import toy_data
from zoo_core.testing.kit import Check, CheckFailed, checks_of
from zoo_core.testing.refusal import check_refused

__all__ = ["Check", "CheckFailed", "check_refused", "checks_of", "toy_data"]
