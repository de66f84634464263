"""What several commands share: options, the console, and how a text is written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo_core.terminal import print_line, print_text

if TYPE_CHECKING:
    from rich.console import Console

SETTINGS = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change a setting."
)
DEVICE = click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
STORE = click.option(
    "--store",
    metavar="PLACE",
    help="Store of the results: a folder, or a URL such as s3://bucket/runs.  "
    "[default: $ZOO_RUNS, else ./runs]",
)
TRACK = click.option(
    "--track", default="demo", show_default=True, help="A track's name, or the path of a TOML file."
)
TRACKER = click.option(
    "--tracker",
    "trackers",
    multiple=True,
    metavar="NAME",
    default=("tensorboard",),
    show_default=True,
    help="Tracker of the curves, such as mlflow, or none; repeat for more.",
)
OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Write to this file instead of the terminal."
)


def console() -> Console:
    """Standard output, wide where it is no terminal."""
    from rich.console import Console

    # Without a terminal rich assumes 80 columns, which would cut tables in files and pipes.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def write(text: str, out: Path | None) -> None:
    """Prints a text, or writes it to a file and says so."""
    from zoo_leaderboard.store import write_atomically

    if out is None:
        print_text(text, newline=False)
    else:
        write_atomically(out, text)
        print_line(f"wrote {out}")
