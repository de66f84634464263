"""The command `zoo`: what is installed, what it is, and whether it holds.

Plugins add commands by the hook `zoo_commands`; the leaderboard joins in this way.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click
from typing_extensions import override

from zoo_core import registry as registry_module
from zoo_core.errors import BrokenPlugin, UnknownName, ZooError, ZooWarning
from zoo_core.process import answer, guarded
from zoo_core.registry import Registry
from zoo_core.show import (
    algorithm_page,
    part_page,
    plugins_page,
)
from zoo_core.terminal import print_line, print_text, warn
from zoo_core.version import __version__

T = TypeVar("T")

LEADERBOARD_COMMANDS = (
    "datasets",
    "train",
    "evaluate",
    "watch",
    "export",
    "figure",
    "leaderboard",
    "cite",
)


class ZooGroup(click.Group):
    """The core's commands and those of the loaded plugins."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        names = {*super().list_commands(ctx), *_registry(ctx).commands}
        return sorted(names)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        commands = _registry(ctx).commands
        if cmd_name in commands:
            return commands[cmd_name].spec
        if cmd_name in LEADERBOARD_COMMANDS:
            raise ZooError(f"'zoo {cmd_name}' needs zoo-leaderboard: pip install zoo-leaderboard")
        raise UnknownName("command", cmd_name, self.list_commands(ctx))


def _registry(ctx: click.Context) -> Registry:
    """The plugins that the options before the command leave switched on."""
    root = ctx.find_root()
    if "registry" not in root.meta:
        disabled = [name.removeprefix("no:") for name in root.params.get("plugins") or ()]
        if disabled:
            registry_module.disable(disabled)
        root.meta["registry"] = registry_module.installed()
    registry: Registry = root.meta["registry"]
    return registry


def _switch(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Sequence[str]:
    for value in values:
        if not value.startswith("no:") or len(value) == 3:
            raise ZooError(f"-p takes no:NAME, such as -p no:zoo-bc (got '{value}')")
    return values


@click.group(cls=ZooGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-p",
    "plugins",
    multiple=True,
    metavar="no:NAME",
    callback=_switch,
    is_eager=True,
    help="Switch off a plugin, by its name or its distribution's; repeat for more.",
)
@click.version_option(__version__, prog_name="zoo")
def cli(plugins: Sequence[str]) -> None:
    """Offline reinforcement learning: algorithms as plugins, ranked honestly."""


@cli.command("plugins")
@click.option("--traceback", "with_traceback", is_flag=True, help="Show where plugins failed.")
@click.pass_context
def plugins_command(ctx: click.Context, with_traceback: bool) -> None:
    """List what is installed, and each plugin that failed, with the reason."""
    print_text(plugins_page(_registry(ctx), with_traceback))


@cli.command("show")
@click.argument("name")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change a setting.")
@click.pass_context
def show_command(ctx: click.Context, name: str, settings: Sequence[str]) -> None:
    """One page on an algorithm, sampler, critic or loss."""
    registry = _registry(ctx)
    if name in registry.algorithms:
        print_text(_page(lambda: algorithm_page(name, list(settings), registry), name))
        return
    found = _page(lambda: part_page(name, registry), name)
    if found is None:
        known = [
            *registry.algorithms,
            *registry.samplers,
            *registry.critics,
            *registry.losses,
        ]
        raise UnknownName("algorithm, part or loss", name, known)
    print_text(found)


def _page(write: Callable[[], T], name: str) -> T:
    """A page on what a plugin offers, whose own code takes part in it."""
    try:
        return answer(write, f"'{name}'")
    except ZooError:
        raise
    except Exception as error:
        raise BrokenPlugin(f"'{name}' raised {type(error).__name__}: {error}") from error


@cli.command("check")
@click.argument("name")
@click.pass_context
def check_command(ctx: click.Context, name: str) -> None:
    """Run the conformance kit on an algorithm, sampler, critic or loss."""
    from zoo_core.testing import CheckFailed, checks_of

    failed = 0
    for check in checks_of(name, _registry(ctx)):
        error = guarded(check).error
        if error is None:
            print_line(f"ok      {check.name}")
            continue
        failed += 1
        raised = "" if isinstance(error, CheckFailed) else f"raised {type(error).__name__}: "
        print_line(f"FAILED  {check.name}: {raised}{error}")
    print_line(f"{name}: " + (f"{failed} checks failed" if failed else "all checks hold"))
    if failed:
        ctx.exit(1)


@contextlib.contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Prints each `ZooWarning` as one line on stderr, other warnings as usual."""
    usual = warnings.showwarning

    def show(message: Any, category: type[Warning], *place: Any, **options: Any) -> None:
        if issubclass(category, ZooWarning):
            warn(f"warning: {message}")
        else:
            usual(message, category, *place, **options)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def main(arguments: list[str] | None = None) -> Any:
    """The entry point: mistakes of the user are one line on stderr, and exit code 2."""
    try:
        with _warnings_in_a_line():
            result = cli.main(arguments, standalone_mode=False, prog_name="zoo")
        # Outside standalone mode click returns the code of ctx.exit instead of exiting.
        sys.exit(result if isinstance(result, int) else 0)
    except ZooError as error:
        warn(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        print_text(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        warn(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        warn("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    sys.exit(2)
