import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo_sfbc.algorithm import stages
from zoo_sfbc.config import SfBCConfig

from zoo_core import ZooError, resolve
from zoo_core.testing import checks_of


@pytest.mark.parametrize("check", checks_of("sfbc") + checks_of("regress"), ids=str)
def test_conformance(check):
    check()


@given(st.integers(1, 9), st.integers(1, 10_000), st.floats(0.001, 0.999))
def test_every_stage_has_its_share_of_the_steps(rounds, more, share):
    config = SfBCConfig(steps=rounds + more, rounds=rounds, behaviour_share=share)
    first, *others = (stage.steps for stage in stages(config))
    assert first + sum(others) == config.steps
    assert len(others) == rounds
    assert min(first, *others) >= 1
    assert max(others) - min(others) <= 1
    assert abs(first - share * config.steps) <= max(1, rounds)


@pytest.mark.parametrize(
    "assignment",
    [
        "rounds=0",
        "alpha=0",
        "samples=0",
        "discount=1.01",
        "behaviour_share=1",
        "critic_lr=0",
        "acts.resampled.temperature=0",
    ],
)
def test_refuses_values_without_meaning(assignment):
    with pytest.raises(ZooError, match=f"^{assignment.partition('=')[0]}: input should be"):
        resolve("sfbc", [assignment])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps=2", "steps must be at least 3, one for each stage"),
        ("sampler.end=1e-12", "sampler: end must not lie before trained_from, 1e-05 (got 1e-12)"),
        (
            "round_1.fit.regress.column=drawn",
            "round_1.fit.regress: loss 'regress' reads the column 'drawn', which no stage has "
            "prepared by then; prepared: returns, targets",
        ),
    ],
)
def test_refuses_what_cannot_work_by_the_whole_sentence(assignment, message):
    with pytest.raises(ZooError) as caught:
        resolve("sfbc", [assignment])
    assert str(caught.value) == message
