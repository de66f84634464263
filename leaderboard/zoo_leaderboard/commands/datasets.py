"""`zoo datasets`."""

from __future__ import annotations

import click

from zoo_leaderboard.commands.options import console


@click.command()
@click.option("--remote", is_flag=True, help="Minari's remote datasets too.")
def datasets(remote: bool) -> None:
    """List embedded and local datasets: sizes, spaces, reference scores."""
    from rich.table import Table
    from rich.text import Text

    from zoo_leaderboard.datasets import listing

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("dataset", no_wrap=True)
    table.add_column("where")
    for title in ("episodes", "steps", "obs", "act"):
        table.add_column(title, justify="right")
    table.add_column("environment")
    table.add_column("reference scores")
    for info in listing(remote):
        reference = info.reference
        scores = f"{reference.min:g} to {reference.max:g}" if reference else "none"
        where = info.where if info.built else f"{info.where}, built on first use"
        numbers = (info.episodes, info.steps, info.observation_dim, info.action_dim)
        last = Text(info.problem, style="red") if info.problem else Text(scores)
        table.add_row(
            Text(info.id),
            where,
            *("-" if n is None else f"{n:,}" for n in numbers),
            Text(info.environment or "-"),
            last if info.built else Text("-"),
        )
    console().print(table)
