"""Fingerprint of a result's code: hashes of syntax trees, which ignore comments and docstrings.

An algorithm's source is the code of the plugin that registers it and of every part and loss that
it uses: the whole package, its data files, and what it imports. A released library counts by its
version, other code by its files. The libraries that the zoo itself depends on, such as torch, are
recorded with a run and are no part of its key. What lies in zoo_core is hashed module by module for
the built-in parts, and covered for the rest by `zoo_core.SEMANTICS`, a number raised whenever
training results can change.
"""

from zoo_leaderboard.fingerprint.hashing import canonical, digest, digest_of_text
from zoo_leaderboard.fingerprint.sources import edited, source_digest, sources
from zoo_leaderboard.fingerprint.syntax import syntax
from zoo_leaderboard.fingerprint.units import files_digest

__all__ = [
    "canonical",
    "digest",
    "digest_of_text",
    "edited",
    "files_digest",
    "source_digest",
    "sources",
    "syntax",
]
