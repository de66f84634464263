"""Data folders: the zoo's own, and Minari's."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo_core.errors import ZooError


def zoo_home() -> Path:
    """The zoo's data folder: `ZOO_HOME`, else the platform's folder for user data.

    It holds `datasets/` (embedded and downloaded sets, in Minari's format), `cache/` (flat copies
    and prepared columns, which may be deleted at any time) and `locks/`. It need not exist yet.
    """
    if os.environ.get("ZOO_HOME"):
        return Path(os.environ["ZOO_HOME"]).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("zoo", appauthor=False))


def minari_root() -> Path:
    """Minari's folder of datasets: `MINARI_DATASETS_PATH`, else `~/.minari/datasets`.

    It may be read-only or missing; only Minari's own download writes there.
    """
    if os.environ.get("MINARI_DATASETS_PATH"):
        return Path(os.environ["MINARI_DATASETS_PATH"]).expanduser().absolute()
    return Path.home() / ".minari" / "datasets"


def search_path() -> list[Path]:
    """The folders in which a dataset is looked for, the zoo's own first."""
    return [zoo_home() / "datasets", minari_root()]


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Holds the zoo's lock of this name; other processes and threads wait for it.

    Raises:
        ZooError: the zoo's folder cannot be written.
    """
    from filelock import FileLock

    file = name.replace("/", "__")
    if len(file) > 200:
        file = f"{file[:100]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    path = writable(zoo_home() / "locks") / f"{file}.lock"
    with FileLock(path):
        yield


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, on the same disk; it takes the place of `folder` by one rename
    when the block ends, and is removed when the block raises.

    Raises:
        ZooError: the parent cannot be written.
    """
    import shutil

    parent = writable(folder.parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".new-", ignore_cleanup_errors=True) as tmp:
        fresh = Path(tmp) / "folder"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            folder.rename(Path(tmp) / "old")
        fresh.rename(folder)
        shutil.rmtree(Path(tmp) / "old", ignore_errors=True)


def writable(folder: Path) -> Path:
    """The folder, made if it is missing.

    Raises:
        ZooError: it cannot be made, or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ZooError(
            f"cannot write to '{folder}' ({error.strerror or error}); "
            "set ZOO_HOME to a folder that you may write to"
        ) from None
