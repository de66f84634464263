"""`zoo datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.errors import ZooError
from zoo_core.terminal import print_line
from zoo_core.text import printable
from zoo_leaderboard.commands.options import console

if TYPE_CHECKING:
    from rich.text import Text

    from zoo_leaderboard.datasets import DatasetInfo
    from zoo_leaderboard.datasets.reference import Reference


@click.group(invoke_without_command=True)
@click.option("--remote", is_flag=True, help="Minari's remote datasets too.")
@click.pass_context
def datasets(ctx: click.Context, remote: bool) -> None:
    """List embedded and local datasets, or import one from another library's file."""
    if ctx.invoked_subcommand is None:
        _list(remote)


def _list(remote: bool) -> None:
    """Sizes, spaces and reference scores, one line each."""
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
        where = info.where if info.built else f"{info.where}, built on first use"
        numbers = (info.episodes, info.steps, info.observation_dim, info.action_dim)
        table.add_row(
            Text(printable(info.id)),
            where,
            *("-" if n is None else f"{n:,}" for n in numbers),
            Text(printable(info.environment or "-")),
            Text("\n").join(_remarks(info)),
        )
    console().print(table)


def _remarks(info: DatasetInfo) -> Iterable[Text]:
    """Why a dataset cannot be used, or its reference scores and what float32 loses of it."""
    from rich.text import Text

    if info.problem:
        return [Text(printable(info.problem), style="red")]
    if not info.built:
        return [Text("-")]
    reference = info.reference
    scores = f"{reference.min:g} to {reference.max:g}" if reference else "none"
    if not reference and info.unused_reference:
        scores = f"none: {info.unused_reference}"
    if info.environment is None:
        scores = "no environment: trains without a score"
    return [Text(scores), *(Text(printable(note), style="yellow") for note in info.notes)]


@datasets.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "id", required=True, help="Id of the new dataset, such as mine/hopper-v0.")
@click.option(
    "--environment",
    help="Gymnasium's id, such as Hopper-v5 or package:Env-v0. Default: none, and no scores.",
)
@click.option(
    "--argument",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Argument of the environment.",
)
@click.option(
    "--action-low",
    metavar="NUMBERS",
    help="Lower bound of the actions without an environment: one number, or one for each such as "
    "0,-1. Default: the minimum of the file.",
)
@click.option(
    "--action-high", metavar="NUMBERS", help="Upper bound. Default: the maximum of the file."
)
@click.option("--reference-min", type=float, help="The return that counts as 0.")
@click.option("--reference-max", type=float, help="The return that counts as 100.")
@click.option("--reference-source", help="Source of the two returns.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "d4rl", "d3rlpy", "robomimic", "numpy"]),
    default="auto",
    show_default=True,
    help="Layout of FILE. Default: recognised by its content.",
)
@click.option(
    "--terminals-are",
    "terminals",
    type=click.Choice(["done", "terminations"]),
    help="Meaning of the terminals of FILE: old Gym's done, true at time limits too, or "
    "terminations. Default: terminations, with a notice if they look like done.",
)
@click.option(
    "--filter", "subset", metavar="NAME", help="Filter of a robomimic file, such as train."
)
@click.option("--replace", is_flag=True, help="Replace an earlier import under this id.")
def import_command(
    file: Path,
    id: str,
    environment: str | None,
    arguments: Sequence[str],
    action_low: str | None,
    action_high: str | None,
    reference_min: float | None,
    reference_max: float | None,
    reference_source: str | None,
    layout: Any,
    terminals: Any,
    subset: str | None,
    replace: bool,
) -> None:
    """Bring FILE (HDF5 of D4RL, d3rlpy or robomimic, or a numpy archive) into Minari's format."""
    from zoo_leaderboard.datasets.importing import ActionBounds, import_file

    done = import_file(
        file,
        id,
        environment,
        kwargs=dict(map(_argument, arguments)),
        bounds=ActionBounds(_numbers("low", action_low), _numbers("high", action_high)),
        reference=_reference(reference_min, reference_max, reference_source),
        layout=layout,
        terminals=terminals,
        subset=subset,
        replace=replace,
    )
    print_line(
        f"imported {file} ({done.log.layout}) as {done.id}: {done.episodes:,} episodes, "
        f"{done.steps:,} transitions"
    )
    for line in done.log.lines():
        print_line(f"  {line}")


def _numbers(side: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise ZooError(f"--action-{side} takes numbers such as 0 or 0,-1 (got '{text}')") from None


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ZooError(f"--argument takes NAME=VALUE (got '{text}')")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _reference(low: float | None, high: float | None, source: str | None) -> Reference | None:
    from zoo_leaderboard.datasets.reference import Reference

    if low is None and high is None and source is None:
        return None
    if low is None or high is None:
        raise ZooError("reference scores need both --reference-min and --reference-max")
    return Reference(low, high, source or "given at import")
