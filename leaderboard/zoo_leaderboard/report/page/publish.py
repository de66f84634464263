"""A store's leaderboards as a site, in one call: `zoo leaderboard page`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from zoo_core.errors import ZooError
from zoo_core.registry import Registry
from zoo_leaderboard.board.index import summaries
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.causes import lines_of
from zoo_leaderboard.report.page.build import Ranking, write_site
from zoo_leaderboard.report.page.site import Site, Written
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import known, load_track


def publish(
    out: Path | str,
    store: Store | Path | str | None = None,
    tracks: Sequence[Path | str] = (),
    *,
    registry: Registry | None = None,
    workers: int = 1,
    tell: Callable[[str], None] = lambda line: None,
) -> Written:
    """Writes a site of static pages, or what changed of it since.

    Args:
        out: The site's folder: new, empty, or holding such a site.
        store: A store or its folder; none for `$ZOO_RUNS`, else `runs`.
        tracks: Names or paths of TOML files; none for every track that the store has runs of.
        registry: What is registered; none for the installed plugins.
        workers: Processes that make the pages.
        tell: Told of damaged files, and of tracks that are left out.

    Raises:
        ZooError: no store, track or run; or a folder that holds something else.
    """
    folder, store = Path(out), store if isinstance(store, Store) else Store(store)
    # A folder that will not do is refused before the store is read.
    Site(folder)
    rankings: list[Ranking] = []
    for asked in tracks or _shipped(_tracks_of(store), tell):
        ranking = _ranking(str(asked), store, registry)
        if any(ranking.name == other.name for other in rankings):
            raise ZooError(f"two of the tracks are called '{ranking.name}'")
        rankings.append(ranking)
    if not rankings:
        raise ZooError(f"no run of a known track in {store}; 'zoo leaderboard run' makes some")
    for line in lines_of(rankings[0].board.damaged, lambda problem: [problem.place]):
        tell(line)
    return write_site(folder, rankings, registry=registry, workers=workers)


def _tracks_of(store: Store) -> list[str]:
    """The tracks that something was run or asked for of."""
    ran = {run.track for run in summaries(store)[0]}
    return sorted({*ran, *store.plans.tracks()})


def _shipped(names: Sequence[str], tell: Callable[[str], None]) -> list[str]:
    """The shipped tracks among names that records brought: none of them is opened as a path."""
    for name in names:
        if name not in known():
            tell(f"track '{name}' is left out: give its file by --track FILE.toml")
    return [name for name in names if name in known()]


def _ranking(asked: str, store: Store, registry: Registry | None) -> Ranking:
    board = load(store, load_track(asked), registry=registry)
    if not asked.endswith(".toml") and "/" not in asked:
        return Ranking(board, asked)
    return Ranking(board, Path(asked).name, Path(asked).read_text(encoding="utf-8"))
