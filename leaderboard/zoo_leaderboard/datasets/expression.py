"""Expressions over datasets: sums of sets and fractions of sets.

    expression = term { "+" term }
    term       = [ fraction "*" ] id
    fraction   = a decimal number above 0 and below 1, or 1
    id         = Minari's: [namespace "/"] name "-v" version

`mujoco/hopper/medium-v0 + mujoco/hopper/expert-v0` joins two sets, in this order, without
shuffling: the papers' medium-expert. `0.5*A` keeps half of A's episodes, whole and in order,
spread evenly over the set: episode i is kept if floor((i + 1) f) > floor(i f), hence every second
one. The choice needs no seed, and unlike the first half it is fair to a set whose quality changes
along the way (a replay buffer; medium followed by expert).
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from zoo_core.errors import ZooError
from zoo_core.text import printable

_ID = re.compile(r"(?:[-\w]+/)*[-\w]+-v\d+", re.ASCII)
LONGEST, LONGEST_PART = 500, 200
"""Characters of an id, and of a part of it, which is a folder: file systems take 255 bytes, and
temporary folders and locks add some."""
_NUMBER = re.compile(r"\d*\.\d+|\d+\.?", re.ASCII)


@dataclass(frozen=True)
class Term:
    """A fraction of one dataset."""

    id: str
    fraction: Fraction = Fraction(1)

    def __str__(self) -> str:
        return self.id if self.fraction == 1 else f"{_decimal(self.fraction)}*{self.id}"

    def keeps(self, episode: int) -> bool:
        """Whether this episode, counted from 0, belongs to the fraction."""
        share, whole = self.fraction.as_integer_ratio()
        return (episode + 1) * share // whole > episode * share // whole


@dataclass(frozen=True)
class Expression:
    """A sum of terms; `str` of it is its canonical form, which parses to an equal expression."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return "+".join(map(str, self.terms))


def parse(text: str) -> Expression:
    """Reads an expression such as `D4RL/door/human-v2` or `0.5*A-v0 + B-v0`.

    Raises:
        ZooError: it does not follow the grammar; the message shows where.
    """
    return Expression(tuple(_term(part.strip(), text) for part in text.split("+")))


def _term(part: str, text: str) -> Term:
    factor, star, name = part.rpartition("*")
    factor, name = factor.strip(), name.strip()
    if not _ID.fullmatch(name):
        raise ZooError(
            f"'{printable(name, 40)}' in the dataset expression '{printable(text, 60)}' is no "
            "dataset id; ids look like 'D4RL/door/human-v2', sums like 'A-v0+B-v0', fractions "
            "like '0.5*A-v0'"
        )
    if len(name) > LONGEST or max(map(len, name.split("/"))) > LONGEST_PART:
        raise ZooError(
            f"the dataset id '{printable(name, 60)}' is too long: it has {len(name):,} characters "
            f"of at most {LONGEST}, and at most {LONGEST_PART} between slashes"
        )
    if not star:
        return Term(name)
    if not _NUMBER.fullmatch(factor) or not 0 < Fraction(factor) <= 1:
        raise ZooError(
            f"'{printable(factor, 40)}' in the dataset expression '{printable(text, 60)}' is no "
            f"fraction; write a decimal number above 0 and up to 1, such as '0.5*A-v0'"
        )
    return Term(name, Fraction(factor))


def _decimal(fraction: Fraction) -> str:
    """The shortest exact decimal form; fractions come from decimals, so there is one."""
    digits, scaled = 0, fraction
    while scaled.denominator != 1:
        digits, scaled = digits + 1, scaled * 10
    return f"0.{scaled.numerator:0{digits}d}"
