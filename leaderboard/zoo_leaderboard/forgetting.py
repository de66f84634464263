"""Dropping what was asked for and never run: `zoo leaderboard forget` and `forget`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo_core.errors import UnknownName
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.datasets import expression
from zoo_leaderboard.result import Cell, Variant
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track, load_track


def forget(
    track: Track | Path | str = "demo",
    *,
    algorithms: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    variants: Sequence[Variant] = (),
    store: Store | Path | str | None = None,
    dry_run: bool = False,
) -> list[Cell]:
    """Drops planned cells without a result from a store's plan of a track. Results stay, failed,
    stale and damaged ones too, and so do their cells.

    Args:
        track: A track, its name, or the path of its file.
        algorithms: Names. Default: all.
        datasets: Ids or expressions. Default: all.
        seeds: Default: all.
        variants: Default: both.
        store: A store or its folder. Default: `$ZOO_RUNS`, else `runs`.
        dry_run: Whether only to say what would be dropped.

    Returns:
        The cells that were dropped.

    Raises:
        ZooError: no such store or track; an algorithm or dataset that the plan does not have; a
            plan that cannot be read or written.
    """
    track = track if isinstance(track, Track) else load_track(track)
    store = store if isinstance(store, Store) else Store(store)
    board = load(store, track, check=False)
    planned = store.planned(track.name)
    ids = [str(expression.parse(text)) for text in datasets]
    _check("algorithm", algorithms, {cell.algorithm for cell in planned})
    _check("dataset", ids, {cell.dataset for cell in planned})
    dropped = [
        cell
        for cell in planned
        if (not algorithms or cell.algorithm in algorithms)
        and (not ids or cell.dataset in ids)
        and (seeds is None or cell.seed in seeds)
        and (not variants or cell.variant in variants)
        and cell.seed in board.row(cell.row).entry(cell.dataset).missing
    ]
    if dropped and not dry_run:
        store.plans.drop(track.name, dropped)
    return dropped


def _check(kind: str, names: Sequence[str], planned: set[str]) -> None:
    for name in names:
        if planned and name not in planned:
            raise UnknownName(f"planned {kind}", name, planned)
