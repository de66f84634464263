"""Finding a dataset's files: the zoo's folder, Minari's folder, then the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo_core.errors import UnknownName, ZooError
from zoo_leaderboard.datasets import embedded
from zoo_leaderboard.datasets.home import lock, minari_root, search_path, writable, zoo_home
from zoo_leaderboard.datasets.known import known_ids
from zoo_leaderboard.datasets.metadata import DATA_FILE, FILE


def locate(id: str, download: bool = True) -> Path:
    """The `data` folder of a dataset in Minari's format.

    Looks in the zoo's folder, then in Minari's; builds an embedded set that is not there yet;
    else lets Minari download it, into Minari's folder or, where that is read-only, the zoo's.

    Raises:
        UnknownName: no such dataset is known; the message offers the nearest names.
        ZooError: it is not here and cannot be downloaded; the message says what to do offline.
    """
    found = _here(id)
    if found is not None:
        return found
    if id in embedded.IDS:
        return embedded.build(id)
    if not download:
        raise _unknown(id) if id not in known_ids() else ZooError(_offline(id, "not here"))
    return _download(id)


def local_ids() -> dict[str, Path]:
    """The ids of all datasets on this machine and their `data` folders."""
    found: dict[str, Path] = {}
    for root in search_path():
        for path in _walk(root) if os.path.isdir(root) else ():
            found.setdefault(path.parent.relative_to(root).as_posix(), path)
    return found


def _here(id: str) -> Path | None:
    paths = (root / id / "data" for root in search_path())
    return next((path for path in paths if _is_dataset(path)), None)


def _is_dataset(data_path: Path) -> bool:
    """Whether a `data` folder is a dataset's, be its files damaged or links that lead nowhere."""
    return any(os.path.lexists(data_path / name) for name in (FILE, DATA_FILE))


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The `data` folders below a folder; temporary ones start with a dot."""
    if _is_dataset(folder / "data"):
        yield folder / "data"
        return
    place = folder.resolve()
    # A link to a folder above would lead round for ever.
    if place in above:
        return
    try:
        children = sorted(path for path in folder.iterdir() if os.path.isdir(path))
    except OSError:
        return
    for child in children:
        if not child.name.startswith("."):
            yield from _walk(child, (*above, place))


def _download(id: str) -> Path:
    """Downloads next to the destination and renames the folder when it is complete."""
    with lock(f"datasets/{id}"):
        if (found := _here(id)) is not None:
            return found
        root = _download_root()
        known, reason = id in known_ids(), ""
        try:
            with _minari_in(root) as (minari, temporary):
                require_network()
                minari.download_dataset(id)
                writable((root / id).parent)
                (temporary / id).rename(root / id)
        except ValueError as error:
            if known:
                raise ZooError(f"dataset '{id}' cannot be downloaded: {error}") from None
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            if known:
                raise ZooError(_offline(id, reason)) from None
        if not (root / id).is_dir():
            raise _unknown(id, f"(Minari could not be asked: {reason})" if reason else "")
        return root / id / "data"


def _download_root() -> Path:
    try:
        return writable(minari_root())
    except ZooError:
        return writable(zoo_home() / "datasets")


@contextmanager
def _minari_in(root: Path) -> Iterator[tuple[Any, Path]]:
    """Minari, told by its environment variable to write into a temporary folder below `root`."""
    import tempfile

    import minari

    before = os.environ.get("MINARI_DATASETS_PATH")
    with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        try:
            yield minari, Path(folder)
        finally:
            if before is None:
                del os.environ["MINARI_DATASETS_PATH"]
            else:
                os.environ["MINARI_DATASETS_PATH"] = before


def require_network() -> None:
    """Asks Minari's default server for a sign of life, once, as its own client retries for 20 s.

    Raises:
        OSError: it does not answer.
    """
    if os.environ.get("MINARI_REMOTE", "hf://").startswith("hf://"):
        from urllib.error import HTTPError
        from urllib.request import Request, urlopen

        address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        try:
            urlopen(Request(address, method="HEAD"), timeout=5).close()
        except HTTPError:
            pass
        except OSError as error:
            raise OSError(f"{address} does not answer") from error


def _unknown(id: str, hint: str = "") -> UnknownName:
    return UnknownName("dataset", id, {*embedded.IDS, *local_ids(), *known_ids()}, hint)


def _offline(id: str, reason: str) -> str:
    return (
        f"dataset '{id}' is not on this machine and cannot be downloaded ({reason}); on a machine "
        f"with network run 'minari download {id}', copy its folder "
        f"'~/.minari/datasets/{id}' to '{minari_root() / id}', "
        "or set MINARI_DATASETS_PATH to a folder that has it"
    )
