"""How the leaderboard joins the command `zoo`: as a plugin like any other."""

from __future__ import annotations

from collections.abc import Iterable

import click

from zoo_core import TrackerSpec, hookimpl


@hookimpl
def zoo_commands() -> Iterable[click.Command]:
    """The commands of `zoo_leaderboard.commands`."""
    from zoo_leaderboard.commands import COMMANDS

    return COMMANDS


@hookimpl
def zoo_trackers() -> Iterable[TrackerSpec]:
    """Those of `zoo_leaderboard.trackers`: `tensorboard` and `mlflow`."""
    from zoo_leaderboard.trackers import TRACKERS

    return TRACKERS
