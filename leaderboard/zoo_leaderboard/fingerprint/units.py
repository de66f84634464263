"""Units of code: the package, module or archive that an imported name stands for, as its files."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from zoo_core.errors import ZooError
from zoo_leaderboard.fingerprint.syntax import imported, syntax, texts

LEFT_OUT = {"__pycache__", "tests", "test", "docs", "node_modules"}
"""Folders of a package that its results do not depend on."""
WORDS = {".md", ".rst", ".pyi", ".typed", ".orig", ".rej", ".log"}
"""Suffixes of files that no code reads as data."""
WORD_FILES = {"readme", "license", "licence", "changelog", "notice", "authors", "copying"}
COMPILED = {".so", ".pyd", ".pyc", ".dylib", ".dll"}


@dataclass(frozen=True)
class Unit:
    """Files that are hashed together."""

    name: str
    """A top-level module's name."""
    files: tuple[tuple[str, Path], ...]
    """Names, relative to the unit, and places."""

    @property
    def digest(self) -> str:
        """The hash of its files, and of the data files next to it that its code names."""
        return files_digest([*self.files, *self._named()])

    @property
    def imports(self) -> set[str]:
        """The top-level modules that its code imports."""
        return {name for _, path in self.files for name in _facts(path).imports} - {self.name}

    def _named(self) -> Iterator[tuple[str, Path]]:
        """The files out of the unit that its code names relative to itself, such as a table
        next to a module."""
        known = {path for _, path in self.files}
        for name, path in self.files:
            for text in _facts(path).texts:
                is_suffix = text.startswith(".") and text[1:].isalnum()
                place = path.parent / (path.stem + text if is_suffix else text)
                if place.suffix != ".py" and place not in known and _is_file(place):
                    yield f"{name}\0{text}", place


def find_unit(name: str) -> Unit:
    """The unit that a top-level module's name stands for.

    Raises:
        FileNotFoundError: no code of the module can be found.
    """
    spec = spec_of(name)
    if spec is None:
        raise FileNotFoundError(f"module {name} has no Python source")
    archive = getattr(spec.loader, "archive", None)
    if archive is not None:
        return Unit(name, ((name, Path(archive)),))
    if spec.submodule_search_locations:
        # A package without __init__.py may lie in several folders.
        roots = [Path(place) for place in spec.submodule_search_locations]
        files = [(path.relative_to(root).as_posix(), path) for root in roots for path in _all(root)]
        if files:
            return Unit(name, tuple(sorted(files)))
    elif spec.has_location and spec.origin and os.path.isfile(spec.origin):
        return Unit(name, ((name, Path(spec.origin)),))
    raise FileNotFoundError(f"module {name} has no Python source")


def spec_of(name: str) -> ModuleSpec | None:
    """Import specification of a top-level module; None if it can't be imported."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _all(folder: Path, within: frozenset[str] = frozenset()) -> Iterator[Path]:
    """The files of a package that results can depend on; links that lead back are left out."""
    within |= {os.path.realpath(folder)}
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name.endswith("~"):
            continue
        if entry.is_dir():
            left_out = entry.name in LEFT_OUT or entry.name.endswith(".egg-info")
            if not left_out and os.path.realpath(path) not in within:
                yield from _all(path, within)
        elif entry.is_file():
            words = path.suffix in WORDS or path.stem.lower() in WORD_FILES
            if not words and not (path.suffix == ".pyc" and path.with_suffix(".py").exists()):
                yield path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def files_digest(files: Iterable[tuple[str, Path]]) -> str:
    """A hash of (name, file) pairs in the order of their names: Python files by their meaning, all
    others by their bytes.

    Raises:
        ZooError: a file can't be read.
    """
    sha = hashlib.sha256()
    for name, path in sorted(files):
        sha.update(f"{name}\0{_facts(path).meaning}\0".encode())
    return sha.hexdigest()[:16]


@dataclass(frozen=True)
class _Facts:
    """Facts about a file's contents."""

    meaning: str
    imports: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    """Strings that may name files."""


def _facts(path: Path) -> _Facts:
    """A file's facts, read again when the file changed."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(f"{path} is no file")
        return _read(path, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
    except OSError as error:
        raise ZooError(f"code or data of a plugin can't be read: {error}") from error


@functools.lru_cache(maxsize=100_000)
def _read(path: Path, *_: int) -> _Facts:
    if path.suffix != ".py":
        is_archive = path.suffix not in COMPILED and zipfile.is_zipfile(path)
        imports = _imports_of_archive(path) if is_archive else frozenset[str]()
        return _Facts(_bytes(path), imports)
    contents = path.read_bytes()
    try:
        source = contents.decode()
        named = {text for text in texts(source) if _may_name_a_file(text)}
        return _Facts(syntax(source), frozenset(imported(source)), frozenset(named))
    except (SyntaxError, ValueError, RecursionError):
        # A template or broken file in a package: every byte may matter.
        return _Facts(hashlib.sha256(contents).hexdigest())


def _may_name_a_file(text: str) -> bool:
    """Whether a text may be a file's name relative to the code's folder, or its suffix."""
    return "." in text[:-1] and len(text) < 200 and text.isprintable() and text[0] not in "/~"


def _bytes(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _imports_of_archive(path: Path) -> frozenset[str]:
    names: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                try:
                    names |= imported(archive.read(name).decode())
                except (SyntaxError, ValueError):
                    continue
    return frozenset(names)
