"""Import and first use of the same rows as long and as short episodes.

    python benchmarks/episodes.py [--rows 1000000] [--lengths 1000 10 1]

Prints seconds for each length of episode: of the import of a numpy archive, of the first use after
it, and of the first use of the same dataset without the copy that the import left (a dataset from
elsewhere). Each case runs in a separate process, which has imported everything before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def measure(rows: int, length: int) -> list[float]:
    """Seconds of import, first use and first use without a copy."""
    import h5py  # noqa: F401  imported before the clock starts, as the rest
    import minari.dataset.minari_storage  # noqa: F401

    from zoo_leaderboard.datasets import find
    from zoo_leaderboard.datasets.importing import import_file

    home = Path(os.environ["ZOO_HOME"])
    random = np.random.default_rng(0)
    observations = random.normal(size=(rows, 3))
    archive = home / "log.npz"
    np.savez(
        archive,
        observations=observations,
        next_observations=np.append(observations[1:], observations[:1], 0),
        actions=random.uniform(-1.0, 1.0, (rows, 1)),
        rewards=random.normal(size=rows),
        terminations=np.arange(rows) % length == length - 1,
        truncations=np.zeros(rows, bool),
    )
    seconds = []
    for step in ("import", "first use", "without a copy"):
        if step == "without a copy":
            shutil.rmtree(home / "cache")
        start = time.perf_counter()
        if step == "import":
            import_file(archive, "mine/rows-v0", "Pendulum-v1")
        else:
            assert len(find("mine/rows-v0").data.lengths) == -(-rows // length)
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Prints a line for each length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 10])
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(*(f"{seconds:.2f}" for seconds in measure(options.rows, options.here)))
        return
    print("steps an episode | import | first use | first use without a copy")
    for length in options.lengths:
        with tempfile.TemporaryDirectory() as home:
            command = [sys.executable, __file__, "--rows", str(options.rows), "--here", str(length)]
            environment = os.environ | {"ZOO_HOME": home}
            output = subprocess.check_output(command, env=environment, text=True)
        print(length, *(f"{seconds} s" for seconds in output.split()), sep=" | ")


if __name__ == "__main__":
    main()
