"""The commands that join `zoo`. Each only reads its arguments, calls the API and prints.

What they need is imported when they run: `zoo --help` must not load gymnasium or pandas.
"""

from zoo_leaderboard.commands.cite import cite
from zoo_leaderboard.commands.datasets import datasets
from zoo_leaderboard.commands.export import export
from zoo_leaderboard.commands.figure import figure
from zoo_leaderboard.commands.leaderboard import leaderboard
from zoo_leaderboard.commands.runs import evaluate, train
from zoo_leaderboard.commands.watch import watch

COMMANDS = (datasets, train, evaluate, watch, export, figure, leaderboard, cite)
"""In the order of `zoo --help`."""

__all__ = ["COMMANDS"]
