"""A store of results: one JSON file a run, each written at once, finished ones never changed.

    runs/
      results/<algorithm>/<dataset>/<variant>.seed<k>.<key>.json       the record
      results/<algorithm>/<dataset>/<variant>.seed<k>.<key>.agent.pt   the policy at its last step
      plans/<track>.json    what was asked for, so that missing cells are known to be missing
      unfinished/<key>/     lock, checkpoint, evaluations so far and log of a job that is not done

The store is a folder or a URL of fsspec (`s3://bucket/runs`). Unfinished work is always on a disk:
in the folder, so that hosts which share it share the work, else in a scratch folder of this
machine. A key is a hash of all that decides a run: stores of several machines are merged by
copying what the other lacks.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from zoo_core.errors import Unwritable, ZooError
from zoo_leaderboard.result import Cell, Result
from zoo_leaderboard.store.files import Listed, open_files
from zoo_leaderboard.store.records import (
    RESULTS,
    Damaged,
    agent_name,
    is_record,
    note_damage,
    parse,
)

STORE_VARIABLE = "ZOO_RUNS"
PLANS = "plans"
_CELLS = TypeAdapter(dict[str, Cell])


def default_root() -> str:
    """The store where none is named: `$ZOO_RUNS`, else `runs` in the working folder."""
    return os.environ.get(STORE_VARIABLE) or "runs"


class Store:
    """Results and plans in one place, and unfinished work.

    Args:
        place: A folder or an fsspec URL; none for `default_root()`. It is made by the first write.

    Raises:
        ZooError: a URL of an unknown kind, or of one whose package is not installed.
    """

    def __init__(self, place: Path | str | None = None) -> None:
        self.files = open_files(default_root() if place is None else place)

    def __str__(self) -> str:
        """The path or URL, by which another process opens the same store."""
        return self.files.full()

    @property
    def root(self) -> Path:
        """The folder of a store that is one.

        Raises:
            ZooError: the store is at a URL.
        """
        if self.files.folder is None:
            raise ZooError(f"the store {self} is not a folder of this machine")
        return self.files.folder

    @property
    def identity(self) -> str:
        """The same for every way to name the place."""
        folder = self.files.folder
        return str(self) if folder is None else str(folder.absolute())

    @property
    def scratch(self) -> Path:
        """A folder for what is no result and may be lost: the store's, or one of this machine."""
        from zoo_leaderboard.datasets.home import zoo_home

        if self.files.folder is not None:
            return self.files.folder
        return zoo_home() / "stores" / hashlib.sha256(self.identity.encode()).hexdigest()[:16]

    def name(self, cell: Cell, key: str) -> str:
        """The name of a run's record, relative to the store."""
        folders = [_folder(part) for part in (cell.algorithm, *cell.dataset.split("/"))]
        return "/".join([RESULTS, *folders, f"{cell.variant}.seed{cell.seed}.{key}.json"])

    def path(self, cell: Cell, key: str) -> Path:
        """Where a run's record is.

        Raises:
            ZooError: the store is not a folder.
        """
        return self.root / self.name(cell, key)

    def agent_path(self, cell: Cell, key: str) -> Path:
        """Where a job writes a run's policy: beside the record, or in the job's folder, from
        which `put` sends it where the store is not a folder."""
        if self.files.folder is None:
            return self.unfinished(key) / "agent.pt"
        return self.files.folder / agent_name(self.name(cell, key))

    def unfinished(self, key: str) -> Path:
        """The folder of a job that is not done."""
        return self.scratch / "unfinished" / key

    def check_writable(self) -> None:
        """Tries the place, and makes it where it is a folder.

        Raises:
            Unwritable: it cannot be written, or has no room for a result.
        """
        if reason := self.files.why_not_writable():
            raise Unwritable(
                f"cannot write to the store {self}: {reason}; "
                f"choose another with --store or {STORE_VARIABLE}"
            )

    def check_shared(self) -> None:
        """Raises ZooError where a job's process would not reach the store."""
        if not self.files.shared:
            raise ZooError(
                f"the store {self} is of this process only; jobs are others: choose a folder"
            )

    def get(self, cell: Cell, key: str) -> Result | Damaged | None:
        """A run's record, a note of its damage, or none."""
        return self._find(self.name(cell, key))

    def _find(self, name: str) -> Result | Damaged | None:
        try:
            content = self.files.read(name)
        except FileNotFoundError:
            return None
        except ZooError as error:
            return parse(error, self.files.full(name), name)
        return parse(content, self.files.full(name), name)

    def read(self, name: str) -> Result | Damaged:
        """The record of a name of the listing, or what is wrong with its file."""
        found = self._find(name)
        gone = FileNotFoundError("the file is gone")
        return parse(gone, self.files.full(name), name) if found is None else found

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, Result | Damaged]]:
        """Many records in the order of their names; many at once where each costs a request."""
        for name, content in self.files.read_all(names):
            yield name, parse(content, self.files.full(name), name)

    def damaged(self, name: str, reason: str) -> Damaged:
        """A name of the listing as a note of its damage."""
        return note_damage(self.files.full(name), name, reason)

    def listing(self) -> list[Listed]:
        """Every record's file, in the order of the names, without opening any.

        Raises:
            ZooError: there is no such store.
        """
        self.check_exists()
        return [listed for listed in self.files.list(RESULTS) if is_record(listed.name)]

    def put(self, result: Result) -> Path | None:
        """Writes a record, after its policy where that is still in the job's folder.

        A finished record is never replaced: where another runner has left one, that one stays. A
        damaged file in its place is moved aside, never overwritten.

        Returns:
            The record's file, where the store is a folder.

        Raises:
            Unwritable: it cannot be written.
        """
        name = self.name(result.cell, result.key)
        agent = self.agent_path(result.cell, result.key)
        unsent = self.files.folder is None and result.failure is None and agent.exists()
        content = result.model_dump_json(indent=1) + "\n"
        self.add(name, content.encode(), agent if unsent else None)
        return None if self.files.folder is None else self.files.folder / name

    def add(self, name: str, content: bytes, agent: Path | None = None) -> bool:
        """Writes a record's content, by the rules of `put`.

        Args:
            name: The record's.
            content: The record as JSON.
            agent: The policy that goes with it, which is sent first.

        Returns:
            Whether it was written; False where there is a finished record.

        Raises:
            Unwritable: it cannot be written.
        """
        found = self._find(name)
        if isinstance(found, Damaged):
            self._set_aside(name)
        elif found is not None and found.status == "finished":
            return False
        if agent is not None:
            self.files.send(agent, agent_name(name))
        if isinstance(found, Result):
            self.files.write(name, content)
            return True
        # Another runner may have been quicker; over a failed record of its, ours still goes.
        return self.files.create(name, content) or self.add(name, content)

    def _set_aside(self, name: str) -> None:
        aside, number = f"{name}.damaged", 1
        while self.files.exists(aside):
            number += 1
            aside = f"{name}.damaged-{number}"
        self.files.move(name, aside)

    def load(self) -> tuple[list[Result], list[Damaged]]:
        """Every record, in the order of the names, and every file that cannot be read.

        Raises:
            ZooError: there is no such store.
        """
        results: list[Result] = []
        damaged: list[Damaged] = []
        for _, found in self.read_all(listed.name for listed in self.listing()):
            if isinstance(found, Result):
                results.append(found)
            else:
                damaged.append(found)
        return results, damaged

    def check_exists(self) -> None:
        """Raises ZooError where nothing was ever stored."""
        if not self.files.exists():
            raise ZooError(f"no store at {self}; 'zoo leaderboard run' makes one")

    def remember(self, track: str, planned: dict[str, Cell]) -> None:
        """Adds what was asked for, by key, to the track's plan; a cell's newest key replaces its
        older ones.

        Raises:
            Unwritable: it cannot be written.
        """
        wanted = set(planned.values())
        with self._one_at_a_time():
            kept = {key: cell for key, cell in self.planned(track).items() if cell not in wanted}
            content = _CELLS.dump_json({**kept, **planned}, indent=1)
            self.files.write(f"{PLANS}/{track}.json", content + b"\n")

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Waits for the other writers of plans that share the scratch folder."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        with (self.scratch / ".plans.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def planned(self, track: str) -> dict[str, Cell]:
        """Every cell that was ever asked for on a track, by its newest key."""
        try:
            return _CELLS.validate_json(self.files.read(f"{PLANS}/{track}.json"))
        except (OSError, ZooError, ValidationError):
            # The plan only helps to name missing cells; the next run writes it anew.
            return {}

    def tracks(self) -> list[str]:
        """The tracks that have a plan."""
        names = [listed.name.removeprefix(f"{PLANS}/") for listed in self.files.list(PLANS)]
        return [n.removesuffix(".json") for n in names if n[0] != "." and n.endswith(".json")]

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[bool]:
        """Holds a job for this process, or gives False where another one has it.

        The lock is a file of `unfinished`: it holds among those who share that folder. The kernel
        frees it when the process dies, so none is ever left behind.
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
