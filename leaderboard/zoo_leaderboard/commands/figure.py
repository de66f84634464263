"""`zoo figure`."""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.terminal import print_line


@click.command()
@click.argument("name", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="[default: NAME.png]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
def figure(name: str | None, out: Path | None, seed: int) -> None:
    """Draw one of the papers' pictures from agents trained on the spot; without NAME, list them."""
    from zoo_leaderboard import figures

    if name is None:
        width = max(map(len, figures.FIGURES))
        for known, meaning in figures.FIGURES.items():
            print_line(f"{known:<{width}}  {meaning}")
        return
    print_line(f"wrote {figures.draw(name, out or Path(f'{name}.png'), seed)}")
