from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets import Expression, Term, parse

names = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
ids = st.builds(
    lambda parts, version: "/".join(parts) + f"-v{version}",
    st.lists(names, min_size=1, max_size=3),
    st.integers(0, 99),
)
fractions = st.integers(1, 10_000).map(lambda part: Fraction(part, 10_000))
expressions = st.builds(
    lambda terms: Expression(tuple(terms)),
    st.lists(st.builds(Term, ids, fractions), min_size=1, max_size=4),
)


@given(expressions)
def test_what_is_printed_parses_to_the_same(expression: Expression) -> None:
    assert parse(str(expression)) == expression


@given(expressions, st.sampled_from(["", " ", "  "]))
def test_spaces_do_not_matter(expression: Expression, space: str) -> None:
    text = str(expression).replace("+", f"{space}+{space}").replace("*", f"{space}*{space}")
    assert parse(f"{space}{text}{space}") == expression


@given(fractions, st.integers(0, 500))
def test_a_fraction_keeps_its_share_of_episodes(fraction: Fraction, episodes: int) -> None:
    term = Term("a-v0", fraction)
    kept = [episode for episode in range(episodes) if term.keeps(episode)]
    assert len(kept) == int(fraction * episodes)
    gaps = {after - before for before, after in pairwise(kept)}
    assert len(gaps) <= 2, "evenly spread"


def test_half_is_every_second_episode_and_is_exact() -> None:
    assert [e for e in range(8) if parse("0.5*a-v0").terms[0].keeps(e)] == [1, 3, 5, 7]
    assert sum(parse("0.1*a-v0").terms[0].keeps(e) for e in range(1000)) == 100


def test_the_canonical_form() -> None:
    assert str(parse(" .50 * D4RL/door/human-v2+ 1*a-v1 ")) == "0.5*D4RL/door/human-v2+a-v1"


@pytest.mark.parametrize(
    "text",
    ["", "+", "a-v0+", "door/human", "a-v0 b-v0", "0.5", "*a-v0", "0*a-v0", "1.5*a-v0", "-1*a-v0",
     "nan*a-v0", "1e-1*a-v0", "0.5*0.5*a-v0", "a-v0[0.5]", "../a-v0", "/a-v0", "½*a-v0"],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ZooError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert text in str(caught.value)
