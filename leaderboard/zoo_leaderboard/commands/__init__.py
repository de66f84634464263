"""The commands that join `zoo`. Each only reads its arguments, calls the API and prints.

What they need is imported when they run: `zoo --help` must not load gymnasium or pandas.
"""

from zoo_leaderboard.commands.datasets import datasets
from zoo_leaderboard.commands.export import export
from zoo_leaderboard.commands.figure import figure
from zoo_leaderboard.commands.leaderboard import leaderboard
from zoo_leaderboard.commands.runs import evaluate, train

COMMANDS = (datasets, train, evaluate, export, figure, leaderboard)
"""In the order of `zoo --help`."""

__all__ = ["COMMANDS"]
