"""A folder of this machine as the place of a store's files."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override

from zoo_core.errors import Unwritable, ZooError
from zoo_leaderboard.store.files import Files, Listed, NotAFile, one_line

ROOM = 1 << 20
"""Bytes that must be free in a folder for it to count as writable."""
LASTING = frozenset({errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO})
"""Read errors that a retry does not cure: the path is not a file."""
NOWHERE = "it is a link to a file that does not exist"


class Folder(Files):
    """A folder of this machine, or of a disk that it mounts."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder

    def path(self, name: str) -> Path:
        """The path of a name."""
        return self.folder / name

    @override
    def full(self, name: str = "") -> str:
        return str(self.path(name))

    @override
    def exists(self, name: str = "") -> bool:
        return os.path.lexists(self.path(name)) if name else os.path.isdir(self.folder)

    @override
    def read(self, name: str) -> bytes:
        path = self.path(name)
        try:
            with open(path, "rb", opener=_at_once) as file:
                kind = os.fstat(file.fileno()).st_mode
                if not stat.S_ISREG(kind):
                    raise NotAFile("it is not a file but a pipe or a device")
                return file.read()
        except FileNotFoundError:
            if path.is_symlink():
                raise NotAFile(NOWHERE) from None
            raise
        except OSError as error:
            raise _problem(error) from error

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
                if os.path.lexists(path):
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
    def remove(self, name: str) -> None:
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unwritable(f"cannot remove {self.path(name)}: {one_line(error)}") from error

    @override
    def list(self, under: str) -> list[Listed]:
        return sorted(self._walk(self.path(under), f"{under}/" if under else "", ()))

    def _walk(self, folder: Path | str, prefix: str, links: tuple[str, ...]) -> Iterator[Listed]:
        """The files below a folder.

        Args:
            folder: The folder.
            prefix: Its name with a slash.
            links: The real paths of the folders whose links led here.
        """
        # Strings and the entries' own stat: a path object for each of many files costs seconds.
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            yield Listed(prefix.rstrip("/"), 0, "", _problem(error))
            return
        with entries:
            for entry in entries:
                name = prefix + entry.name
                try:
                    if not entry.is_dir():
                        status = entry.stat()
                        yield Listed(name, status.st_size, str(status.st_mtime_ns))
                    elif not entry.is_symlink():
                        yield from self._walk(entry.path, f"{name}/", links)
                    elif not _leads_back(entry.path, here := (*links, os.path.realpath(folder))):
                        yield from self._walk(entry.path, f"{name}/", here)
                except FileNotFoundError:
                    # Otherwise a temporary file that has been renamed in the meantime.
                    if entry.is_symlink():
                        yield Listed(name, 0, "", NotAFile(NOWHERE))
                except OSError as error:
                    yield Listed(name, 0, "", _problem(error))

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
            return one_line(error)


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
    """Creates the folder of a file to be written; an OSError becomes one line."""
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
    """Flushes a file to the disk and makes it readable by all: mkstemp creates private files, but
    a store is shared."""
    file.flush()
    os.fsync(file.fileno())
    os.fchmod(file.fileno(), 0o666 & ~_umask())


def _at_once(path: str, flags: int) -> int:
    """Opens what should be a file. A pipe in its place reads as empty and does not block."""
    return os.open(path, flags | os.O_NONBLOCK)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _problem(error: OSError) -> ZooError:
    """The exception for a read error: `NotAFile` if it is permanent, else `ZooError`."""
    return (NotAFile if error.errno in LASTING else ZooError)(one_line(error))


def _leads_back(link: str, folders: Iterable[str]) -> bool:
    """Whether a link leads to one of these folders or one above it, so that a walk has no end."""
    target = os.path.realpath(link)
    return any(os.path.commonpath((target, folder)) == target for folder in folders)
