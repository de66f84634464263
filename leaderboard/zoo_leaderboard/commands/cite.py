"""`zoo cite`."""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.terminal import warn
from zoo_leaderboard.commands.options import OUT, STORE, TRACK, write


@click.command()
@TRACK
@STORE
@OUT
def cite(track: str, store: str | None, out: Path | None) -> None:
    """Print the BibTeX of what a track's table used.

    That is its algorithms, datasets, environments, libraries and statistics, and the zoo. What has
    no known entry is named on stderr.
    """
    from zoo_leaderboard.board.loading import load
    from zoo_leaderboard.report.citations import citations

    found = citations(load(store, track, check=False))
    write(found.bibtex(), out)
    for line in found.unknown:
        warn(line)
