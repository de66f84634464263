"""Files by name in one place: a folder of this machine, or anything that fsspec reaches.

Names are relative to the place, with slashes. A write is whole or not there: a rename in a folder,
one upload elsewhere.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from zoo_core.errors import ZooError


class NotAFile(ZooError):
    """A folder, a device or a broken link where a file should be: trying again does not help."""


class Listed(NamedTuple):
    """A file as a listing knows it."""

    name: str
    """Name relative to the place, with slashes."""
    size: int
    """Size in bytes."""
    stamp: str
    """Stamp that changes with the content: the modification time in nanoseconds, or the ETag."""
    problem: ZooError | None = None
    """Reason why the file cannot be read, or the folder listed, if the listing shows it."""


class Files(ABC):
    """Interface of a place that holds the files of a store."""

    folder: Path | None = None
    """The folder, if the place is one of this machine; else None."""

    shared: bool = True
    """Whether other processes see the same files."""

    @abstractmethod
    def full(self, name: str = "") -> str:
        """A name with its place, for people."""

    @abstractmethod
    def exists(self, name: str = "") -> bool:
        """Whether a file has that name; without a name, whether the place exists."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: there is none.
            NotAFile: what is there is no file.
            ZooError: it cannot be read now; its content may be sound.
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
        """Writes a whole file if there is none. An existing file is kept, and False returned.

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
        """A file as a local one, which may be gone after the block.

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
    def remove(self, name: str) -> None:
        """Removes a file, unless it is gone already.

        Raises:
            Unwritable: it cannot be removed.
        """

    @abstractmethod
    def list(self, under: str) -> list[Listed]:
        """Every file below a name, in the order of the names.

        Raises:
            ZooError: the place cannot be listed now.
        """

    @abstractmethod
    def why_not_writable(self) -> str:
        """The reason why the place cannot be written; empty if it can. A folder is created."""


def one_line(error: BaseException) -> str:
    """An exception in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:300] or type(error).__name__
