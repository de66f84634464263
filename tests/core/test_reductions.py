"""Reductions [E, n, B] -> [B] against loops, and the inequalities between them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from zoo_core import Reduction, over_members, reduction


def values(members=3, candidates=4, rows=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, candidates, rows, generator=generator, dtype=torch.float64)


def mean(numbers):
    return sum(numbers) / len(numbers)


def by_candidate(q, fold):
    """Members folded for each candidate: [n] numbers, where q is [E][n]."""
    return [fold(column) for column in zip(*q, strict=True)]


def softly(numbers, alpha):
    weights = [math.exp(alpha * x) for x in numbers]
    return sum(w * x for w, x in zip(weights, numbers, strict=True)) / sum(weights)


def mixed(q, weight):
    return max(by_candidate(q, lambda c: weight * min(c) + (1 - weight) * max(c)))


LOOPS = {
    "min": lambda q: mean(by_candidate(q, min)),
    "mean": lambda q: mean([mean(member) for member in q]),
    "first": lambda q: mean(q[0]),
    "max_then_min": lambda q: min(max(member) for member in q),
    "min_then_max": lambda q: max(by_candidate(q, min)),
    "mix(0.75)": lambda q: mixed(q, 0.75),
    "mix(0)": lambda q: mixed(q, 0.0),
    "softmax(3.0)": lambda q: softly(by_candidate(q, min), 3.0),
    "softmax(1e-3)": lambda q: softly(by_candidate(q, min), 1e-3),
}


@pytest.mark.parametrize("name", list(LOOPS))
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 3), (1, 4, 2), (3, 4, 5)])
def test_a_reduction_is_its_loop(name, sizes):
    q = values(*sizes)
    reduced = reduction(name)(q)
    assert reduced.shape == (sizes[2],)
    for row in range(sizes[2]):
        assert reduced[row].item() == pytest.approx(LOOPS[name](q[:, :, row].tolist()))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 10_000))
def test_inequalities(members, candidates, seed):
    q = values(members, candidates, 7, seed)
    lowest, highest = q.amin((0, 1)), q.amax((0, 1))
    slack = 1e-9
    for name in LOOPS:
        reduced = reduction(name)(q)
        assert bool(((lowest - slack <= reduced) & (reduced <= highest + slack)).all())

    def below(one, other):
        assert bool((reduction(one)(q) <= reduction(other)(q) + slack).all())

    below("min", "min_then_max")
    below("min_then_max", "max_then_min")  # max-min is at most min-max
    below("min", "mean")
    below("min_then_max", "mix(0.75)")
    below("mix(0.75)", "mix(0.5)")
    below("min", "softmax(1.0)")
    below("softmax(1.0)", "softmax(2.0)")
    below("softmax(2.0)", "min_then_max")


def test_limits():
    q = values()
    for one, other in (
        ("mix(1.0)", "min_then_max"),
        ("softmax(1e-9)", "min"),
        ("softmax(1e6)", "min_then_max"),
    ):
        torch.testing.assert_close(reduction(one)(q), reduction(other)(q))


def test_members():
    q = values()
    assert torch.equal(over_members(q, "min"), q.min(0).values)
    torch.testing.assert_close(over_members(q, "mean"), (q[0] + q[1] + q[2]) / 3)
    assert torch.equal(over_members(q, "first"), q[0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mix(-0.1)", "mix takes a weight from 0 to 1"),
        ("mix(2)", "mix takes a weight from 0 to 1"),
        ("mix(1e999)", "mix takes a finite number"),
        ("softmax(1e999)", "softmax takes a finite number"),
        ("softmax(0)", "softmax takes a number above 0"),
        ("softmax(-1)", "softmax takes a number above 0"),
    ],
)
def test_numbers_outside_their_meaning_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        reduction(name)
    with pytest.raises(ValidationError):
        TypeAdapter(Reduction).validate_python(name)


@pytest.mark.parametrize("name", ["", "max", "min(1)", "mix", "mix()", "mix(a)", "soft max(1)"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match=r"there are min, mean, .*mix\(NUMBER\)"):
        reduction(name)
    with pytest.raises(ValidationError):
        TypeAdapter(Reduction).validate_python(name)
