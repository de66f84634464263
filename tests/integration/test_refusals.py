"""No algorithm takes a number without a meaning at any of its paths, before any data load."""

import math

import pytest

from zoo_core import ZooError, installed, resolve
from zoo_core.testing import CheckFailed, check_refused

NEGATIVE = {"min_log_std", "max_log_std"}
"""Settings, by the last word of their path, of which -1 means something."""

NAMES = sorted(name for name, a in installed().algorithms.items() if a.spec.fit is None)


def numbers(name):
    for path, setting in resolve(name).settings.items():
        if isinstance(setting.value, int | float) and not isinstance(setting.value, bool):
            yield path


def message(name, path, value):
    with pytest.raises(ZooError) as caught:
        resolve(name, {path: value})
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_number_without_a_meaning_is_refused_by_its_path(name):
    for path in numbers(name):
        meaningless = [math.nan, math.inf]
        if path.rpartition(".")[2] not in NEGATIVE:
            meaningless.append(-1)
        for value in meaningless:
            text = message(name, path, value)
            assert text.startswith(f"{path}: "), text
            assert text.endswith(f"(got {value})"), text
            assert len(text) < 200, text
            assert "\n" not in text


@pytest.mark.parametrize("assignment", ["lr=1e-3", "train.steps=0", "nothing=1"])
def test_a_value_that_is_taken_or_refused_by_another_line_fails(assignment):
    check_refused("bc", "lr=0")
    with pytest.raises(CheckFailed, match=assignment):
        check_refused("bc", assignment)
