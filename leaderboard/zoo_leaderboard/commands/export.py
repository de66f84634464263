"""`zoo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo_core.terminal import print_line


@click.command()
@click.argument("run", metavar="RUN_OR_CHECKPOINT")
@click.option(
    "--format",
    "style",
    type=click.Choice(["onnx", "torchscript"]),
    required=True,
    help="Format of OUT.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file.")
@click.option("--act", help="A named way of acting.  [default: the headline]")
@click.option("--dataset", help="Whose action bounds to use, where the file does not say it.")
def export(run: str, style: Any, out: Path, act: str | None, dataset: str | None) -> None:
    """Write a policy as one file: raw observations in, the environment's actions out.

    The file is checked against the policy on random observations. What a random act draws is an
    input of the file.
    """
    from zoo_leaderboard.policies.exporting import export as export_policy

    done = export_policy(run, out, style, act=act, dataset=dataset)
    about = done.metadata
    print_line(f"wrote {done.path}: {about['algorithm']} ({about['act']}) on {about['dataset']}")
    for name, meaning in about["inputs"].items():
        print_line(f"  in   {name} {meaning}")
    print_line(f"  out  actions {about['actions']}")
    print_line(
        f"largest difference from the policy {done.difference:.2g}, "
        f"over {done.checked} random observations"
    )
    if done.undecided:
        print_line(
            f"{done.undecided} of them were left out: the policy itself changes there when the "
            "observation changes by 1e-5"
        )
