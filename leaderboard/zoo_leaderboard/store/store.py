"""A folder of results: one JSON file a run, written by rename, never deleted.

    runs/
      results/<algorithm>/<dataset>/<variant>.seed<k>.<key>.json       the record
      results/<algorithm>/<dataset>/<variant>.seed<k>.<key>.agent.pt   the policy at its last step
      unfinished/<key>/     lock, checkpoint, evaluations so far and log of a job that is not done
      plans/<track>.json    what was asked for, so that missing cells are known to be missing

Merging two stores is a copy of the one into the other: a key is a hash of all that decides a run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from pydantic import TypeAdapter, ValidationError

from zoo_core.errors import Unwritable, ZooError
from zoo_leaderboard.result import SCHEMA, Cell, Result

STORE_VARIABLE = "ZOO_RUNS"
ROOM = 1 << 20
"""Bytes that must be free in a store before jobs start."""
_NAME = re.compile(r"(?P<variant>[a-z]+)\.seed(?P<seed>\d+)\.(?P<key>[0-9a-f]+)\.json")
_CELLS = TypeAdapter(dict[str, Cell])


@dataclass(frozen=True)
class Damaged:
    """A result file that cannot be read; it is reported and left alone."""

    path: Path
    reason: str
    key: str = ""
    cell: Cell | None = None
    """What the file's place says it is about."""

    def __str__(self) -> str:
        return f"damaged result file {self.path}: {self.reason}"


class Listed(NamedTuple):
    """A record's file."""

    name: str
    """Below the store's root."""
    size: int
    stamp: str
    """Another one for every change of the file."""


def default_root() -> Path:
    """The store's folder where none is named: `$ZOO_RUNS`, else `runs` in the working folder."""
    return Path(os.environ.get(STORE_VARIABLE) or "runs")


def write_atomically(path: Path, data: str | bytes) -> None:
    """Writes a whole file or none: to a neighbour first, flushed, then renamed.

    Raises:
        Unwritable: the place cannot be written; what is there is left as it was.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes private files; a store is shared.
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Unwritable(f"cannot write {path}: {error.strerror or error}") from error


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


class Store:
    """Results, unfinished work and plans under one folder.

    Args:
        root: The folder; none for `default_root()`. It is made by the first write.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    def path(self, cell: Cell, key: str) -> Path:
        """Where a run's record is."""
        folders = [_folder(part) for part in (cell.algorithm, *cell.dataset.split("/"))]
        name = f"{cell.variant}.seed{cell.seed}.{key}.json"
        return self.root.joinpath("results", *folders, name)

    def agent_path(self, cell: Cell, key: str) -> Path:
        """Where a run's policy is."""
        return agent_beside(self.path(cell, key))

    def unfinished(self, key: str) -> Path:
        """The folder of a job that is not done."""
        return self.root / "unfinished" / key

    def check_writable(self) -> None:
        """Makes the folder and tries it.

        Raises:
            Unwritable: it cannot be written, or has no room for a result.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as file:
                # A full disk still has names for empty files.
                file.write(bytes(ROOM))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unwritable(
                f"cannot write to the store {self.root}: {error.strerror or error}; "
                f"choose another with --store or {STORE_VARIABLE}"
            ) from error

    def get(self, cell: Cell, key: str) -> Result | Damaged | None:
        """A run's record, a note of its damage, or none."""
        path = self.path(cell, key)
        return read(path, self.root) if path.exists() else None

    def siblings(self, cell: Cell) -> list[Result]:
        """Every readable record of a cell, whatever its key."""
        folder, pattern = self.path(cell, "").parent, f"{cell.variant}.seed{cell.seed}.*.json"
        found = [read(path, self.root) for path in sorted(folder.glob(pattern))]
        return [r for r in found if isinstance(r, Result) and r.cell == cell]

    def put(self, result: Result) -> Path:
        """Writes a record. A damaged file in its place is moved aside, never overwritten."""
        path = self.path(result.cell, result.key)
        if path.exists() and isinstance(read(path, self.root), Damaged):
            aside = path.with_name(path.name + ".damaged")
            number = 1
            while aside.exists():
                number += 1
                aside = path.with_name(f"{path.name}.damaged-{number}")
            os.replace(path, aside)
        write_atomically(path, result.model_dump_json(indent=1) + "\n")
        return path

    def listing(self) -> list[Listed]:
        """Every record's file in the order of the names, unread.

        Raises:
            ZooError: there is no such folder.
        """
        if not self.root.is_dir():
            raise ZooError(f"no store at {self.root}; 'zoo leaderboard run' makes one")
        found: list[Listed] = []
        folders = [self.root / "results"]
        while folders:
            with contextlib.suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append(Path(entry.path))
                    elif entry.name.endswith(".json") and not entry.name.startswith("."):
                        state = entry.stat()
                        name = Path(entry.path).relative_to(self.root).as_posix()
                        found.append(Listed(name, state.st_size, str(state.st_mtime_ns)))
        return sorted(found)

    def read(self, name: str) -> Result | Damaged:
        """The record of a listed name, or what is wrong with it."""
        return read(self.root / name, self.root)

    def damaged(self, name: str, reason: str) -> Damaged:
        """A listed name as a note of its damage."""
        return _damaged(self.root / name, self.root, reason)

    def load(self) -> tuple[list[Result], list[Damaged]]:
        """Every record, in the order of the paths, and every file that cannot be read.

        Raises:
            ZooError: there is no such folder.
        """
        results: list[Result] = []
        damaged: list[Damaged] = []
        for listed in self.listing():
            found = self.read(listed.name)
            if isinstance(found, Result):
                results.append(found)
            else:
                damaged.append(found)
        return results, damaged

    def remember(self, track: str, planned: dict[str, Cell]) -> None:
        """Adds what was asked for, by key, to the track's plan; a cell's newest key replaces its
        older ones."""
        wanted = set(planned.values())
        kept = {key: cell for key, cell in self.planned(track).items() if cell not in wanted}
        content = _CELLS.dump_json({**kept, **planned}, indent=1)
        write_atomically(self.root / "plans" / f"{track}.json", content + b"\n")

    def planned(self, track: str) -> dict[str, Cell]:
        """Every cell that was ever asked for on a track, by its newest key."""
        path = self.root / "plans" / f"{track}.json"
        try:
            return _CELLS.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            # The plan only helps to name missing cells; the next run writes it anew.
            return {}

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[bool]:
        """Holds a job for this process, or gives False where another one has it.

        The kernel frees the lock when the process dies, so none is ever left behind.
        """
        folder = self.unfinished(key)
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                yield False
                return
            # The folder may have been removed by the job's previous owner in the meantime.
            if _same_file(handle, folder / "lock"):
                break
            os.close(handle)
        _HELD.add(handle)
        try:
            yield True
        finally:
            _HELD.discard(handle)
            os.close(handle)

    def clear(self, key: str) -> None:
        """Removes the folder of a job that is done; call it while holding the lock."""
        shutil.rmtree(self.unfinished(key), ignore_errors=True)


_HELD: set[int] = set()
"""This process's locks."""


def _leave_locks() -> None:
    for handle in _HELD:
        os.close(handle)
    _HELD.clear()


# A lock belongs to every process that inherits its handle: what a job forks must not hold the job
# when its own process is dead.
os.register_at_fork(after_in_child=_leave_locks)


def _folder(name: str) -> str:
    """A name as a folder's, which `unquote` undoes; none leads out of the store."""
    return quote(name, safe="+@,:= ") if name.strip(".") else name.replace(".", "%2E") or "%"


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def agent_beside(path: Path) -> Path:
    """The policy's file beside a record's."""
    return path.with_name(path.name.removesuffix(".json") + ".agent.pt")


def read(path: Path, root: Path | None = None) -> Result | Damaged:
    """One record, or what is wrong with the file.

    Args:
        path: The record's file.
        root: The store's folder, from which the file's place tells the cell of a damaged one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        return _damaged(path, root, error.strerror or str(error))
    if not content.strip():
        return _damaged(path, root, "the file is empty")
    try:
        result = Result.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        return _damaged(path, root, reason.replace("\n", " "))
    if result.schema_version > SCHEMA:
        newer = f"it is of schema {result.schema_version}; this zoo-leaderboard reads {SCHEMA}"
        return _damaged(path, root, newer)
    place = _NAME.fullmatch(path.name)
    if place is not None and place["key"] != result.key:
        return _damaged(path, root, f"it holds another run's record, {result.key}")
    return result


def _damaged(path: Path, root: Path | None, reason: str) -> Damaged:
    place = _NAME.fullmatch(path.name)
    if place is None or root is None:
        return Damaged(path, reason)
    try:
        algorithm, *dataset = path.parent.relative_to(root / "results").parts
    except ValueError:
        return Damaged(path, reason, place["key"])
    # Settings made by hand are only in the file's contents and the plan.
    fields: dict[str, Any] = {
        "algorithm": unquote(algorithm),
        "dataset": unquote("/".join(dataset)),
        "seed": int(place["seed"]),
        "variant": place["variant"] if place["variant"] in {"default", "tuned"} else "default",
    }
    return Damaged(path, reason, place["key"], Cell(**fields))
