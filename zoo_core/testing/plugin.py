"""A pytest plugin for authors: `pytest --zoo my_algorithm` runs the conformance kit on it.

It is loaded wherever zoo-core is installed, so it imports nothing heavy until it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_core.testing.kit import Check


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option `--zoo NAME`."""
    parser.getgroup("zoo").addoption(
        "--zoo",
        action="append",
        default=[],
        metavar="NAME",
        help="run the zoo's conformance kit on an algorithm, sampler, critic or loss",
    )


class ConformanceItem(pytest.Item):
    """One check of the kit as a test."""

    def __init__(self, *, check: Check, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.check = check

    def runtest(self) -> None:
        """Runs the check."""
        self.check()

    def reportinfo(self) -> tuple[str, int, str]:
        """Where and what the test is."""
        return str(self.path), 0, str(self.check)


class ConformanceCollector(pytest.Collector):
    """The checks of every name that `--zoo` gave."""

    def collect(self) -> Iterator[ConformanceItem]:
        """One test per check."""
        from zoo_core.testing.kit import checks_of

        for name in self.config.getoption("--zoo"):
            for check in checks_of(name):
                yield ConformanceItem.from_parent(self, name=str(check), check=check)


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Adds the checks to what was collected."""
    if config.getoption("--zoo"):
        collector = ConformanceCollector.from_parent(session, name="zoo")
        items.extend(collector.collect())
