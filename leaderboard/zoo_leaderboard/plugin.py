"""How the leaderboard joins the command `zoo`: as a plugin like any other."""

from __future__ import annotations

from collections.abc import Iterable

import click

from zoo_core import hookimpl


@hookimpl
def zoo_commands() -> Iterable[click.Command]:
    """The commands of `zoo_leaderboard.commands`."""
    from zoo_leaderboard.commands import COMMANDS

    return COMMANDS
