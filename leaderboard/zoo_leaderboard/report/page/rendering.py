"""Templates: everything that they show is escaped, and every link is relative."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.metadata import version
from operator import attrgetter
from typing import Any

import jinja2
import markupsafe

from zoo_core.text import printable_lines
from zoo_leaderboard.board.rows import Entry
from zoo_leaderboard.report.markup import thousands
from zoo_leaderboard.report.page import names, texts
from zoo_leaderboard.report.page.about import web_address
from zoo_leaderboard.report.page.reproduce import command
from zoo_leaderboard.report.tables import sections
from zoo_leaderboard.running.progress import duration

ASSETS = ("page.css", "page.js", "icon.svg")
"""Files that every page uses, in the folder `assets`."""


def asset(name: str) -> str:
    """The content of one of `ASSETS`."""
    place = resources.files("zoo_leaderboard.report.page") / "assets" / name
    return place.read_text(encoding="utf-8")


def render(template: str, here: str, **context: Any) -> str:
    """A page.

    Args:
        template: A file of the folder `templates`.
        here: The page's own path from the site's root, from which its links lead.
        context: What the template shows.
    """

    def to(target: str) -> str:
        return names.link(here, target)

    return _environment().get_template(template).render(here=here, to=to, **context)


def _shown(value: Any) -> Any:
    """A text without what browsers obey beside markup, such as a change of writing direction."""
    plain = isinstance(value, str) and not isinstance(value, markupsafe.Markup)
    return printable_lines(value) if plain else value


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("zoo_leaderboard.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "decimal": texts.decimal,
        "significant": texts.significant,
        "whole": texts.whole,
        "memory": texts.memory,
        "duration": duration,
        "numbers": texts.numbers,
        "plural": texts.plural,
        "thousands": thousands,
        "web_address": web_address,
    }
    found.globals |= {
        "names": names,
        "version": version("zoo-leaderboard"),
        "command": command,
        "average": average,
        "score_text": sections.score_text,
        "steps_text": sections.steps_text,
    }
    return found


def average(entry: Entry, name: str) -> float | None:
    """The mean of a number of a run's summary over the finished runs that have it."""
    return entry.mean_of(attrgetter(name))
