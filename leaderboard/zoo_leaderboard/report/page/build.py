"""Puts the site together: which pages there are, and what each shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from zoo_core import registry as registry_module
from zoo_core.registry import Registry
from zoo_core.version import SEMANTICS, __version__
from zoo_leaderboard.board.board import Board
from zoo_leaderboard.board.rows import Row
from zoo_leaderboard.report import comparison
from zoo_leaderboard.report.comparison import Pair
from zoo_leaderboard.report.page import names
from zoo_leaderboard.report.page.about import About, about
from zoo_leaderboard.report.page.board_table import cell_view, improvements_of, table_of
from zoo_leaderboard.report.page.downloads import downloads_of
from zoo_leaderboard.report.page.figures import figures_of
from zoo_leaderboard.report.page.rendering import ASSETS, asset, render
from zoo_leaderboard.report.page.runs import (
    acts_of,
    runs_of,
    settings_of,
    shared,
    spreads,
    together,
)
from zoo_leaderboard.report.page.site import Site, Written, digest
from zoo_leaderboard.report.published import load_published
from zoo_leaderboard.report.tables import sections

HOME = "index.html"


@dataclass(frozen=True)
class Ranking:
    """A track of the site."""

    board: Board
    source: str
    """What `--track` takes: the track's name, or its file's."""
    definition: str = ""
    """The text of the track's file, where it is no shipped one; the site then offers it."""

    @property
    def name(self) -> str:
        """The track's."""
        return self.board.track.name

    @cached_property
    def compared(self) -> list[Pair]:
        """Finished cells that have published scores to stand beside."""
        pairs = comparison.pairs_of(self.board, load_published())
        return [pair for pair in pairs if pair.published]


def write_site(
    folder: Path,
    rankings: Sequence[Ranking],
    *,
    registry: Registry | None = None,
    workers: int = 1,
) -> Written:
    """Writes the leaderboards of some tracks as a site, or what changed of it since.

    Args:
        folder: New, empty, or holding such a site.
        rankings: The tracks, in the order in which they are listed.
        registry: What is registered; none for the installed plugins.
        workers: Processes that make the pages.

    Raises:
        ZooError: the folder holds something else, or cannot be written.
    """
    site = Site(folder)
    _Pages(site, rankings, registry or registry_module.installed()).add()
    return site.write(workers)


class _Pages:
    def __init__(self, site: Site, rankings: Sequence[Ranking], registry: Registry) -> None:
        self.site, self.rankings, self.registry = site, rankings, registry
        ranked = {row.algorithm for ranking in rankings for row in ranking.board.rows}
        self.abouts = {
            name: about(name, registry) for name in sorted({*registry.algorithms, *ranked})
        }

    def add(self) -> None:
        """Everything that the site has."""
        for name in ASSETS:
            self.site.add_text(f"assets/{name}", asset(name))
        self._page("index.html", HOME, abouts=self.abouts.values(), failures=self.registry.failures)
        for known in self.abouts.values():
            self._algorithm(known)
        for ranking in self.rankings:
            self._track(ranking)

    def _page(self, template: str, here: str, **context: object) -> None:
        self.site.add_text(here, self._render(template, here, **context))

    def _render(self, template: str, here: str, **context: object) -> str:
        return render(template, here, rankings=self.rankings, **context)

    def _algorithm(self, known: About) -> None:
        rows = [
            (ranking, row)
            for ranking in self.rankings
            for row in ranking.board.rows
            if row.algorithm == known.name
        ]
        self._page("algorithm.html", names.algorithm_page(known.name), about=known, rows=rows)

    def _track(self, ranking: Ranking) -> None:
        board = ranking.board
        figures = figures_of(board)
        downloads = downloads_of(board, compared=bool(ranking.compared))
        entries = {
            (row.label, dataset): digest(row.settings, row.entry(dataset))
            for row in board.rows
            for dataset in board.datasets
        }
        shows = digest(self._code, board.track, board.notes, entries)
        if ranking.definition:
            self.site.add_text(names.track_file(ranking.name, ranking.source), ranking.definition)
        self._page(
            "track.html",
            names.track_page(ranking.name),
            ranking=ranking,
            table=table_of(board, self.abouts),
            headings=sections.heading_lines(board),
        )
        for download in downloads:
            self.site.add(download.path, shows, download.make)
        for figure in figures:
            self.site.add(figure.path, shows, figure.make)
        self._page(
            "figures.html",
            names.figures_page(ranking.name),
            ranking=ranking,
            figures=figures,
            downloads=downloads,
            improvements=improvements_of(board),
        )
        if ranking.compared:
            self._published(ranking)
        for row in board.rows:
            self._row(ranking, row)
            self._cells(ranking, row, entries)

    def _published(self, ranking: Ranking) -> None:
        self._page(
            "published.html",
            names.published_page(ranking.name),
            ranking=ranking,
            warning=comparison.WARNING,
            differences=comparison.difference_lines(ranking.compared, load_published()),
        )

    def _row(self, ranking: Ranking, row: Row) -> None:
        board = ranking.board
        self._page(
            "row.html",
            names.row_page(ranking.name, row.label),
            ranking=ranking,
            row=row,
            about=self.abouts[row.algorithm],
            cells=[cell_view(board, row, dataset) for dataset in board.datasets],
            alike=_not_told_apart(board, row.label),
        )

    def _cells(self, ranking: Ranking, row: Row, entries: dict[tuple[str, str], str]) -> None:
        board, known = ranking.board, self.abouts[row.algorithm]
        tracks = [other.name for other in self.rankings]
        shared = digest(self._code, board.track, known.defaults, tracks, row.label)
        for dataset in board.datasets:
            view = cell_view(board, row, dataset)
            if view.opens:
                self.site.add(
                    names.cell_page(ranking.name, row.label, dataset),
                    digest(shared, entries[row.label, dataset], view),
                    partial(self._cell, ranking, row, dataset),
                )

    def _cell(self, ranking: Ranking, row: Row, dataset: str) -> str:
        board, known = ranking.board, self.abouts[row.algorithm]
        runs = runs_of(board, row, dataset)
        values = board.track.values(row.algorithm, dataset)
        configs = [
            (group, settings_of(group.values, known, row, values))
            for group in shared(runs, "config")
        ]
        return self._render(
            "cell.html",
            names.cell_page(ranking.name, row.label, dataset),
            ranking=ranking,
            row=row,
            about=known,
            dataset=dataset,
            entry=row.entry(dataset),
            view=cell_view(board, row, dataset),
            reference=board.references.get(dataset),
            runs=runs,
            together=together(runs, board.references.get(dataset) is not None),
            configs=configs,
            sources=shared(runs, "sources"),
            machines=shared(runs, "machine"),
            versions=shared(runs, "versions"),
            spreads=spreads(runs),
            acts=acts_of(runs),
        )

    @cached_property
    def _code(self) -> str:
        """A digest of what decides how pages look beside the data."""
        package = resources.files("zoo_leaderboard")
        files = [(file.name, digest(file.read_bytes())) for file in _files(package)]
        return digest(SEMANTICS, __version__, files)


def _not_told_apart(board: Board, label: str) -> list[str]:
    """The rows whose mean over the common datasets may be the same."""
    if label not in board.aggregates:
        return []
    return [
        row.label
        for row in board.rows
        if row.label in board.aggregates and row.label != label
        if not board.told_apart(label, row.label)
    ]


def _files(folder: Traversable) -> Iterator[Traversable]:
    for place in sorted(folder.iterdir(), key=lambda place: place.name):
        if place.is_dir():
            yield from _files(place)
        elif not place.name.endswith(".pyc"):
            yield place
