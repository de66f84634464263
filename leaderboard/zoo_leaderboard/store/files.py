"""Files by name in one place: a folder of this machine, or anything that fsspec reaches.

Names are relative to the place, with slashes. A write is whole or not there: a rename in a folder,
one upload elsewhere.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from typing_extensions import override

from zoo_core.errors import Unwritable, ZooError

BATCH = 256
"""Files that are asked for at once where each costs a request."""
ROOM = 1 << 20
"""Bytes that a folder must have free to count as one that can be written."""
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""The extra of zoo-leaderboard that a URL's scheme needs."""


class Listed(NamedTuple):
    """A file as a listing knows it."""

    name: str
    """Relative to the place, with slashes."""
    size: int
    """In bytes."""
    stamp: str
    """Differs when the content does: the time of change in nanoseconds, or the place's ETag."""


class Files(ABC):
    """What a store needs of the place where it is kept."""

    folder: Path | None = None
    """The folder, where the place is one of this machine."""

    shared: bool = True
    """Whether other processes see the same files."""

    @abstractmethod
    def full(self, name: str = "") -> str:
        """A name with its place, for people."""

    @abstractmethod
    def exists(self, name: str = "") -> bool:
        """Whether there is such a file, or anything at all in the place."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: there is none.
            ZooError: it cannot be read.
        """

    @abstractmethod
    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Exception]]:
        """Many files in the order of their names, each with its content or what it raised."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Writes a whole file, in the place of an older one.

        Raises:
            Unwritable: it cannot be written.
        """

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Writes a whole file where there is none; False where there is one, which stays.

        Raises:
            Unwritable: it cannot be written.
        """

    @abstractmethod
    def send(self, source: Path, name: str) -> None:
        """Copies a file of this machine into the place.

        Raises:
            Unwritable: it cannot be written.
        """

    @abstractmethod
    def local(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """A file as one of this machine, which may be gone after the block.

        Raises:
            FileNotFoundError: there is none.
            ZooError: it cannot be read.
        """

    @abstractmethod
    def move(self, name: str, new: str) -> None:
        """Gives a file another name.

        Raises:
            Unwritable: it cannot be written.
        """

    @abstractmethod
    def list(self, under: str) -> list[Listed]:
        """Every file below a name, in the order of the names."""

    @abstractmethod
    def why_not_writable(self) -> str:
        """Tries the place, and makes it where it is a folder; empty where it can be written."""


def is_url(place: Path | str) -> bool:
    """Whether a place is named by a URL and not by a path."""
    return isinstance(place, str) and "://" in place


def open_files(place: Path | str) -> Files:
    """The files of a path or an fsspec URL.

    Raises:
        ZooError: an unknown scheme, or one whose package is not installed.
    """
    if not is_url(place):
        return Folder(Path(place))
    url = str(place)
    scheme = url.partition("://")[0].rpartition("::")[2]
    if scheme in {"file", "local"}:
        return Folder(Path(url.partition("://")[2]))
    return Remote(url)


class Folder(Files):
    """A folder of this machine, or of a disk that it mounts."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder

    def path(self, name: str) -> Path:
        """A name's path."""
        return self.folder / name

    @override
    def full(self, name: str = "") -> str:
        return str(self.path(name))

    @override
    def exists(self, name: str = "") -> bool:
        return self.path(name).is_file() if name else self.folder.is_dir()

    @override
    def read(self, name: str) -> bytes:
        try:
            with open(self.path(name), "rb", opener=_at_once) as file:
                return file.read()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ZooError(error.strerror or str(error)) from error

    @override
    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in names:
            try:
                yield name, self.read(name)
            except (OSError, ZooError) as error:
                yield name, error

    @override
    def write(self, name: str, content: bytes) -> None:
        write_atomically(self.path(name), content)

    @override
    def create(self, name: str, content: bytes) -> bool:
        path = self.path(name)
        with _writing(path), _neighbour(path) as (file, temporary):
            file.write(content)
            _finish(file)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            except OSError:
                # A file system without hard links.
                if path.exists():
                    return False
                os.replace(temporary, path)
        return True

    @override
    def send(self, source: Path, name: str) -> None:
        path = self.path(name)
        with (
            _writing(path),
            source.open("rb") as content,
            _neighbour(path) as (file, temporary),
        ):
            shutil.copyfileobj(content, file)
            _finish(file)
            os.replace(temporary, path)

    @contextlib.contextmanager
    @override
    def local(self, name: str) -> Iterator[Path]:
        path = self.path(name)
        if not path.exists():
            raise FileNotFoundError(path)
        yield path

    @override
    def move(self, name: str, new: str) -> None:
        with _writing(self.path(new)):
            os.replace(self.path(name), self.path(new))

    @override
    def list(self, under: str) -> list[Listed]:
        return sorted(self._walk(self.path(under), f"{under}/" if under else ""))

    def _walk(self, folder: Path | str, prefix: str) -> Iterator[Listed]:
        # Strings and the entries' own stat: a path object for each of many files costs seconds.
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        with entries:
            for entry in entries:
                if entry.is_dir():
                    yield from self._walk(entry.path, f"{prefix}{entry.name}/")
                    continue
                # It may be a rename's temporary file, which is gone by now, or a broken link.
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat()
                    yield Listed(prefix + entry.name, found.st_size, str(found.st_mtime_ns))

    @override
    def why_not_writable(self) -> str:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as file:
                # A full disk still has names for empty files.
                file.write(bytes(ROOM))
                _finish(file)
                return ""
        except OSError as error:
            return _line(error)


class Remote(Files):
    """A place that fsspec reaches, such as an object store.

    Args:
        url: The place, such as `s3://bucket/runs`.

    Raises:
        ZooError: an unknown scheme, or one whose package is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        try:
            # Other machines write too: what was listed a moment ago is no longer true.
            self._fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            scheme = url.partition("://")[0]
            extra = EXTRAS.get(scheme)
            how = f"pip install 'zoo-leaderboard[{extra}]'" if extra else str(error)
            raise ZooError(f"{scheme}:// needs a package that is not installed: {how}") from error
        except ValueError as error:
            raise ZooError(f"cannot use '{url}' as a store: {error}") from error
        self._root = str(root).rstrip("/")
        self.shared = "memory" not in self._fs.protocol

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @override
    def full(self, name: str = "") -> str:
        return f"{self.url}/{name}" if name else self.url

    @override
    def exists(self, name: str = "") -> bool:
        with self._telling("read", name):
            return bool(self._fs.exists(self._key(name)))

    @override
    def read(self, name: str) -> bytes:
        with self._telling("read", name):
            return bytes(self._fs.cat_file(self._key(name)))

    @override
    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Exception]]:
        remaining = iter(names)
        while batch := list(itertools.islice(remaining, BATCH)):
            keys = [self._key(name) for name in batch]
            with self._telling("read", batch[0]):
                found = self._fs.cat(keys, on_error="return")
            for name, key in zip(batch, keys, strict=True):
                yield name, found[key]

    @override
    def write(self, name: str, content: bytes) -> None:
        with self._telling("write", name):
            self._make_parent(name)
            self._fs.pipe_file(self._key(name), content)

    @override
    def create(self, name: str, content: bytes) -> bool:
        with self._telling("write", name):
            self._make_parent(name)
            try:
                self._fs.pipe_file(self._key(name), content, mode="create")
            except FileExistsError:
                return False
            except Exception:
                # Not every server knows a conditional write.
                if self._fs.exists(self._key(name)):
                    return False
                self._fs.pipe_file(self._key(name), content)
        return True

    @override
    def send(self, source: Path, name: str) -> None:
        with self._telling("write", name):
            self._make_parent(name)
            self._fs.put_file(str(source), self._key(name))

    @contextlib.contextmanager
    @override
    def local(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            path = Path(folder) / name.rpartition("/")[2]
            with self._telling("read", name):
                self._fs.get_file(self._key(name), str(path))
            yield path

    @override
    def move(self, name: str, new: str) -> None:
        with self._telling("write", new):
            self._fs.mv(self._key(name), self._key(new))

    @override
    def list(self, under: str) -> list[Listed]:
        with self._telling("read", under):
            try:
                found = self._fs.find(self._key(under), detail=True)
            except FileNotFoundError:
                return []
        start = len(self._root) + 1
        return sorted(
            Listed(key[start:], info["size"] or 0, _stamp(info)) for key, info in found.items()
        )

    @override
    def why_not_writable(self) -> str:
        probe = f".{uuid.uuid4().hex}"
        try:
            self._make_parent(probe)
            self._fs.pipe_file(self._key(probe), b"")
        except Exception as error:
            return _line(error)
        # Whoever may write need not have the right to remove.
        with contextlib.suppress(Exception):
            self._fs.rm_file(self._key(probe))
        return ""

    def _make_parent(self, name: str) -> None:
        """Object stores have no folders, but SFTP and its like do."""
        parent = self._key(name).rpartition("/")[0]
        if not getattr(self._fs, "async_impl", False):
            self._fs.makedirs(parent, exist_ok=True)

    @contextlib.contextmanager
    def _telling(self, doing: str, name: str) -> Iterator[None]:
        """Turns what a file system raises, which has many types, into one line."""
        try:
            yield
        except ZooError:
            raise
        except FileNotFoundError as error:
            if doing == "read":
                raise
            raise Unwritable(f"cannot write {self.full(name)}: {_line(error)}") from error
        except Exception as error:
            kind = ZooError if doing == "read" else Unwritable
            raise kind(f"cannot {doing} {self.full(name)}: {_line(error)}") from error


def _stamp(info: dict[str, Any]) -> str:
    for field in ("ETag", "etag", "md5Hash", "LastModified", "mtime", "updated", "created"):
        if info.get(field):
            return str(info[field])
    return ""


def _line(error: BaseException) -> str:
    """An exception in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:300] or type(error).__name__


def write_atomically(path: Path, data: str | bytes) -> None:
    """Writes a whole file or none: to a neighbour first, flushed, then renamed.

    Raises:
        Unwritable: the place cannot be written; what is there is left as it was.
    """
    content = data.encode() if isinstance(data, str) else data
    with _writing(path), _neighbour(path) as (file, temporary):
        file.write(content)
        _finish(file)
        os.replace(temporary, path)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Makes the folder of a file that is to be written; an OSError becomes one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise Unwritable(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _neighbour(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """A temporary file in a file's folder, which is gone after the block unless renamed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, temporary
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _finish(file: BinaryIO) -> None:
    """Brings a file to the disk, readable by all: mkstemp makes private files; a store is
    shared."""
    file.flush()
    os.fsync(file.fileno())
    os.fchmod(file.fileno(), 0o666 & ~_umask())


def _at_once(path: str, flags: int) -> int:
    """Opens what should be a file; a pipe in its place is empty, and not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
