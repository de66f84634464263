import pytest

from zoo_core import ZooError, resolve
from zoo_core.testing import checks_of


@pytest.mark.parametrize("check", [*checks_of("bc"), *checks_of("bc_deterministic")], ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("lr=0", "lr: input should be greater than 0 (got 0)"),
        ("train.steps=0", "train.steps: must be above 0, so that something is trained (got 0)"),
        ("train.actor.nll.weight=-1", "train.actor.nll.weight: must not be negative (got -1)"),
        (
            "sampler=guided",
            "act 'mode' reads 'sampler.energy', which no update trains: cloning leaves it out of "
            "sampler 'guided'; set sampler to another sampler",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_the_whole_sentence(assignment, message):
    with pytest.raises(ZooError) as caught:
        resolve("bc", [assignment])
    assert str(caught.value) == message
