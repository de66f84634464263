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
    """Relative to the place, with slashes."""
    size: int
    """In bytes."""
    stamp: str
    """Differs when the content does: the time of change in nanoseconds, or the place's ETag."""
    problem: ZooError | None = None
    """Why it cannot be read, where the listing knows that; of a folder, why it cannot be
    listed."""


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
        """Whether anything has that name, or anything at all is in the place."""

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
        """Tries the place, and makes it where it is a folder; empty where it can be written."""


def one_line(error: BaseException) -> str:
    """An exception in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:300] or type(error).__name__
