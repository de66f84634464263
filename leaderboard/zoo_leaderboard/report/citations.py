"""What to cite for a table, as BibTeX: algorithms, datasets, environments, libraries, the zoo.

An algorithm's entry is its plugin's text, so it is read as any stranger's: what is no BibTeX is
written anew from the plain fields of its citation.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import NamedTuple

from pydantic import ConfigDict

from zoo_core import registry as registry_module
from zoo_core.errors import ZooError
from zoo_core.registry import Registry
from zoo_core.specs import Citation
from zoo_core.version import __version__
from zoo_leaderboard import datasets
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.datasets import embedded
from zoo_leaderboard.result import Record

ZOO = f"""@software{{zoo,
  title = {{The zoo: offline reinforcement learning algorithms as plugins, ranked honestly}},
  author = {{{{The zoo's founders}}}},
  version = {{{__version__}}}
}}"""
EMBEDDED = "zoo/"
"""What the ids of datasets and environments begin with that the zoo's own entry covers."""
CLASSIC = ("Pendulum-*", "MountainCarContinuous-*", "BipedalWalker*", "LunarLander*", "CarRacing-*")
"""Environments that Gymnasium's entry covers."""

_START = re.compile(r"@(\w+)\s*\{\s*([^\s,{}\"#%'()=\\]+)\s*,")


class Work(Record):
    """Something to cite for datasets, environments or reference scores."""

    model_config = ConfigDict(extra="forbid")

    name: str
    bibtex: str
    datasets: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


class Entry(NamedTuple):
    """One BibTeX entry."""

    key: str
    text: str


class Citations(NamedTuple):
    """What a table used."""

    entries: tuple[Entry, ...]
    """Each work once, with a key of its own."""
    unknown: tuple[str, ...]
    """What has no entry, a line each."""

    def bibtex(self) -> str:
        """The contents of a `.bib` file."""
        return "\n".join(f"{entry.text}\n" for entry in self.entries)


def citations(board: Board, registry: Registry | None = None) -> Citations:
    """The works behind the rows of a board that have a finished run.

    Args:
        board: A track's board.
        registry: What is registered; none for the installed plugins.

    Raises:
        ZooError: no run has finished.
    """
    runs = board.runs
    if not runs:
        raise ZooError(f"no finished run of track '{board.track.name}' to cite")
    found, unknown = [*entries_of(ZOO)], []
    for name in sorted({run.place.algorithm for run in runs}):
        entries, problem = _of_algorithm(name, registry or registry_module.installed())
        found += entries
        unknown += [problem] if problem else []
    for id in sorted({run.place.dataset for run in runs}):
        sources = {
            run.reference.source for run in runs if run.reference and run.place.dataset == id
        }
        entries, problems = _of_dataset(id, sources)
        found += entries
        unknown += problems
    return Citations(tuple(_once(found)), tuple(dict.fromkeys(unknown)))


def _of_algorithm(name: str, registry: Registry) -> tuple[list[Entry], str]:
    if name not in registry.algorithms:
        return [], f"algorithm '{name}' is not installed, so that its citation is not known"
    cite = registry.algorithms[name].spec.cite
    if cite.bibtex:
        try:
            return list(entries_of(cite.bibtex)), ""
        except ValueError as error:
            return [_from_fields(name, cite)], f"algorithm '{name}': its BibTeX {error}; made anew"
    if cite.title and cite.authors:
        return [_from_fields(name, cite)], ""
    return [], f"algorithm '{name}' names nothing to cite"


def _of_dataset(id: str, sources: set[str]) -> tuple[list[Entry], list[str]]:
    """The works of a dataset or of each member of a sum, and of its environment."""
    terms = [term.id for term in datasets.parse(id).terms]
    environment = _environment(id)
    found: list[Entry] = []
    for work in works():
        fits = _any(terms, work.datasets) or _any([environment], work.environments)
        if fits or any(source.startswith(work.references) for source in sources):
            found += entries_of(work.bibtex)
    unknown = []
    known = [p for work in works() for p in work.datasets if p != "*"] + ["mujoco/*"]
    for term in terms:
        if not term.startswith(EMBEDDED) and not _any([term], known):
            unknown.append(f"dataset '{term}' is not known")
    families = [*CLASSIC, *(p for work in works() for p in work.environments)]
    if not environment.startswith(EMBEDDED) and not _any([environment], families):
        unknown.append(f"environment '{environment or 'of ' + id}' is not known")
    return found, unknown


def _environment(id: str) -> str:
    """The environment of a dataset, as far as this machine knows it."""
    first = datasets.parse(id).terms[0].id
    if first in embedded.IDS:
        return embedded.builder(first).evaluation.id
    try:
        found = datasets.find(id, download=False).environment
    except ZooError:
        found = datasets.known_environment(first)
    return found.id if found else ""


def _any(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(name and fnmatch.fnmatchcase(name, p) for name in names for p in patterns)


@cache
def works() -> tuple[Work, ...]:
    """The works of `citations.toml`."""
    file = resources.files(__package__) / "citations.toml"
    listed = tomllib.loads(file.read_text(encoding="utf-8"))["works"]
    return tuple(Work.model_validate(work) for work in listed)


def entries_of(text: str) -> Iterable[Entry]:
    """The entries of a BibTeX text, without what stands between them.

    Raises:
        ValueError: there is none; braces or quotes that do not close.
    """
    text = "".join(c for c in text if c.isprintable() or c in "\n\t")
    found: list[Entry] = []
    position = 0
    while start := _START.search(text, position):
        position = _end(text, start.end())
        found.append(Entry(start[2], text[start.start() : position]))
    if not found:
        raise ValueError("has no entry")
    return found


def _end(text: str, position: int) -> int:
    """Behind the brace that closes the entry whose fields begin at a position."""
    depth, quoted = 1, False
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 2
            continue
        if character == '"' and depth == 1:
            quoted = not quoted
        depth += {"{": 1, "}": -1}.get(character, 0)
        position += 1
        if depth == 0:
            if quoted:
                raise ValueError("has a quote that does not close")
            return position
    raise ValueError("has a brace that does not close")


def _from_fields(name: str, cite: Citation) -> Entry:
    """An entry made of a citation's plain fields."""
    key = re.sub(r"\W", "", f"{name}{cite.year}", flags=re.ASCII)
    fields = {"title": cite.title, "author": cite.authors, "year": cite.year, "url": cite.url}
    lines = [f"  {field} = {{{_plain(str(value))}}}" for field, value in fields.items() if value]
    return Entry(key, f"@misc{{{key},\n" + ",\n".join(lines) + "\n}")


def _plain(text: str) -> str:
    """A text without what means something to TeX."""
    shown = "".join(c for c in text if c.isprintable() or c.isspace())
    line = re.sub(r"[{}\\^~]", "", " ".join(shown.split()))
    return line if "://" in line else re.sub(r"([&%$#_])", r"\\\1", line)


def _once(entries: Iterable[Entry]) -> list[Entry]:
    """Each work once; different works that share a key get keys of their own."""
    kept: dict[str, Entry] = {}
    seen: set[str] = set()
    for entry in entries:
        title = _title(entry.text)
        if title in seen:
            continue
        seen.add(title)
        key, number = entry.key, 2
        while key in kept:
            key, number = f"{entry.key}-{number}", number + 1
        text = entry.text.replace(entry.key, key, 1)
        kept[key] = Entry(key, text)
    return list(kept.values())


def _title(text: str) -> str:
    """What tells works apart: the title's letters, else the whole text."""
    title = re.search(r"\btitle\s*=\s*(.+?)(?:,\s*\n|\n?\}\s*$)", text, re.IGNORECASE | re.DOTALL)
    return re.sub(r"\W", "", title[1] if title else text).lower()
