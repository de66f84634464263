"""Datasets from other libraries' files, written once in Minari's format: `zoo datasets import`.

container      opens a file, or says what it is
naming         the names that libraries give to the same arrays
flat, imitation, d3rlpy, robomimic    the layouts: an open file -> rows of transitions
done_flags     time limits among the terminations
plant          spaces of a file without an environment
episodes       rows -> episodes, cut at ends and seams
importer       checks them against the environment and writes them into the zoo's data folder
"""

from zoo_leaderboard.datasets.importing.importer import Imported, Layout, import_file
from zoo_leaderboard.datasets.importing.plant import ActionBounds

__all__ = ["ActionBounds", "Imported", "Layout", "import_file"]
