import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zoo_core import Schedule
from zoo_core.schedules import value_at

SHAPES = ["linear", "cosine"]


@pytest.mark.parametrize("shape", SHAPES)
def test_ends_and_middle(shape):
    schedule = Schedule(shape=shape, start=3.0, end=1.0)
    assert schedule.at(0.0) == 3.0
    assert schedule.at(0.5) == pytest.approx(2.0)
    assert schedule.at(1.0) == pytest.approx(1.0)


def test_the_cosine_leaves_its_ends_slowly():
    schedule = Schedule(shape="cosine", start=1.0)
    assert schedule.at(0.25) == pytest.approx((1 + 0.5**0.5) / 2)
    assert schedule.at(0.75) == pytest.approx((1 - 0.5**0.5) / 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_after_its_share_of_the_stage_the_end_stays(shape):
    schedule = Schedule(shape=shape, start=0.0, end=5.0, until=0.5)
    assert schedule.at(0.25) == pytest.approx(2.5)
    assert schedule.at(0.5) == schedule.at(0.7) == schedule.at(1.0) == pytest.approx(5.0)


@given(
    st.sampled_from(SHAPES),
    st.floats(-10, 10),
    st.floats(-10, 10),
    st.floats(0.01, 1.0),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_it_moves_one_way_between_its_ends(shape, start, end, until, times):
    schedule = Schedule(shape=shape, start=start, end=end, until=until)
    first, second = (schedule.at(t) for t in sorted(times))
    low, high = min(start, end) - 1e-9, max(start, end) + 1e-9
    assert low <= first <= high
    assert low <= second <= high
    assert (second - first) * (end - start) >= -1e-7


def test_a_number_is_itself():
    assert value_at(0.3, 0.9) == 0.3
    assert value_at(Schedule(start=1.0), 0.25) == 0.75


@pytest.mark.parametrize("bad", [{"until": 0.0}, {"until": 1.5}, {"shape": "step"}, {"begin": 1.0}])
def test_bad_schedules_are_refused(bad):
    with pytest.raises(ValidationError):
        Schedule(start=1.0, **bad)
