"""Anything that fsspec reaches, such as an object store, as the place of a store's files."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from typing_extensions import override

from zoo_core.errors import Unwritable, ZooError
from zoo_leaderboard.store.files import Files, Listed, NotAFile, one_line

BATCH = 256
"""Number of files requested at the same time if each costs a request."""
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""The extra of zoo-leaderboard that a URL's scheme needs."""


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
            # Other machines write too, so a cached listing may be outdated.
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
                yield name, found.get(key, FileNotFoundError("the file is gone"))

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
                # Not every server supports conditional writes.
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
    def remove(self, name: str) -> None:
        with self._telling("write", name), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._key(name))

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
            return one_line(error)
        # Permission to write does not imply permission to remove.
        with contextlib.suppress(Exception):
            self._fs.rm_file(self._key(probe))
        return ""

    def _make_parent(self, name: str) -> None:
        """Creates the parent folder: SFTP and similar protocols need it, object stores do not."""
        parent = self._key(name).rpartition("/")[0]
        if not getattr(self._fs, "async_impl", False):
            self._fs.makedirs(parent, exist_ok=True)

    @contextlib.contextmanager
    def _telling(self, doing: str, name: str) -> Iterator[None]:
        """Turns the exceptions of a file system, which have many types, into one line."""
        try:
            yield
        except ZooError:
            raise
        except IsADirectoryError as error:
            if doing == "read":
                raise NotAFile("it is a folder") from error
            raise Unwritable(f"cannot write {self.full(name)}: it is a folder") from error
        except FileNotFoundError as error:
            if doing == "read":
                raise
            raise Unwritable(f"cannot write {self.full(name)}: {one_line(error)}") from error
        except Exception as error:
            kind = ZooError if doing == "read" else Unwritable
            raise kind(f"cannot {doing} {self.full(name)}: {one_line(error)}") from error


def _stamp(info: dict[str, Any]) -> str:
    for field in ("ETag", "etag", "md5Hash", "LastModified", "mtime", "updated", "created"):
        if info.get(field):
            return str(info[field])
    return ""
