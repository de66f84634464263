"""A folder of generated files: written only where what they show changed, removed where nothing
shows it any more. Files that others put there are never touched."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from zoo_core.errors import ZooError
from zoo_leaderboard.store import write_atomically

MANIFEST = "zoo-site.json"
"""The list of the site's files, each with the digest of what it shows."""
FORMAT = 1
PENDING = ""
"""The digest of a file that is being written: a site that was interrupted is written anew."""

Content = str | bytes


def digest(*parts: object) -> str:
    """A short hash of texts, bytes and whatever has a faithful `repr`."""
    hashed = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            hashed.update(part)
        else:
            text = part if isinstance(part, str) else repr(part)
            hashed.update(text.encode("utf-8", "surrogatepass"))
        hashed.update(b"\0")
    return hashed.hexdigest()[:24]


@dataclass
class Written:
    """What became of a site's files."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{len(self.written)} files written, {len(self.unchanged)} unchanged, "
            f"{len(self.removed)} removed"
        )


class Site:
    """The files of a site: `add` each, then `write` them.

    Args:
        folder: A new or empty folder, or one that holds such a site.

    Raises:
        ZooError: the folder is something else, or its manifest cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._old = _manifest(folder)
        self._new: dict[str, tuple[str, Callable[[], Content]]] = {}

    def add(self, path: str, shows: str, make: Callable[[], Content]) -> None:
        """A file of the site.

        Args:
            path: From the site's root, with `/`.
            shows: A digest of all that decides the content.
            make: Gives the content; called by `write` where the digest is another one.
        """
        self._new[path] = shows, make

    def add_text(self, path: str, content: str) -> None:
        """A file whose content is cheap to make: it is its own digest."""
        # What a plugin calls itself need not be valid Unicode.
        encoded = content.encode("utf-8", "replace")
        self.add(path, digest(encoded), lambda: encoded)

    def write(self, workers: int = 1) -> Written:
        """Makes what changed and removes what the site no longer has.

        An interrupted site is completed by the next call: the manifest lists what is about to be
        written, without digests, before anything is.

        Args:
            workers: Processes that make the files.

        Raises:
            ZooError: a file of others is in the way, or writing fails.
        """
        done = Written()
        digests = {path: shows for path, (shows, _) in self._new.items()}
        changed = [path for path in self._new if not self._holds(path)]
        gone = [path for path in self._old if path not in self._new]
        for path in changed:
            self._refuse_foreign(path)
        if changed or gone:
            self._write_manifest({**self._old, **digests, **dict.fromkeys(changed, PENDING)})
        self._make_all(changed, workers)
        done.written = changed
        for path in gone:
            self._remove(path)
            done.removed.append(path)
        if changed or gone:
            self._write_manifest(digests)
        done.unchanged = [path for path in self._new if path not in set(changed)]
        return done

    def _make_all(self, paths: list[str], workers: int) -> None:
        if min(workers, len(paths)) < 2 or "fork" not in multiprocessing.get_all_start_methods():
            for path in paths:
                self._make(path)
            return
        # Forked, the processes have the site and its boards, which could not be sent to them.
        _forked.append(self)
        try:
            with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
                list(pool.map(_make_in_fork, paths))
        except BrokenProcessPool:
            raise ZooError(
                "a process that made pages was killed; run it again, with --workers 1 if memory "
                "is short"
            ) from None
        finally:
            _forked.pop()

    def _make(self, path: str) -> None:
        write_atomically(self._place(path), self._new[path][1]())

    def _holds(self, path: str) -> bool:
        return self._old.get(path) == self._new[path][0] and self._place(path).is_file()

    def _place(self, path: str) -> Path:
        place = self.folder.joinpath(*PurePosixPath(path).parts)
        if not place.parent.resolve().is_relative_to(self.folder.resolve()):
            raise ZooError(f"{place.parent} leads out of {self.folder}; choose a new --out")
        return place

    def _refuse_foreign(self, path: str) -> None:
        place = self._place(path)
        if path not in self._old and (place.exists() or place.is_symlink()):
            raise ZooError(
                f"{place} is in the way and is not of this site: move it, or choose another --out"
            )

    def _remove(self, path: str) -> None:
        place = self._place(path)
        try:
            place.unlink(missing_ok=True)
            _remove_empty(place.parent, self.folder)
        except OSError as error:
            raise ZooError(f"cannot remove {place}: {error.strerror or error}") from error

    def _write_manifest(self, files: dict[str, str]) -> None:
        content = {"zoo_site": FORMAT, "files": dict(sorted(files.items()))}
        write_atomically(self.folder / MANIFEST, json.dumps(content, indent=1) + "\n")


_forked: list[Site] = []


def _make_in_fork(path: str) -> None:
    _forked[-1]._make(path)


def _manifest(folder: Path) -> dict[str, str]:
    """The files of the site that is there; none where there is nothing yet."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ZooError(f"cannot write to {folder}: {error.strerror or error}") from error
    if MANIFEST not in names:
        if names:
            raise ZooError(
                f"{folder} is not empty and has no {MANIFEST}: choose a new folder with --out"
            )
        return {}
    problem = ZooError(
        f"{folder / MANIFEST} is not a manifest that this zoo-leaderboard reads; "
        "remove the folder or choose another with --out"
    )
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        files = content["files"]
        sound = content["zoo_site"] == FORMAT and all(
            isinstance(shows, str) and _inside(path) for path, shows in files.items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise problem from None
    if not sound:
        raise problem
    return dict(files)


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
