"""Datasets from other libraries' files, written once in Minari's format: `zoo datasets import`.

A layout's module reads a file to `Recorded` episodes; the importer checks them against the
environment and writes them into the zoo's data folder.
"""

from zoo_leaderboard.datasets.importing.importer import Imported, Layout, import_file

__all__ = ["Imported", "Layout", "import_file"]
