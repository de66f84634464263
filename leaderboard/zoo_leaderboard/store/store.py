"""A store of results: one JSON file a run, each written at once, finished ones never changed.

    runs/
      results/<algorithm>/<dataset>/<variant>.seed<k>.<key>.json       the record
      results/<algorithm>/<dataset>/<variant>.seed<k>.<key>.agent.pt   the policy at its last step
      plans/<track>/<hash>.json    what was asked for, so that missing cells are known to be missing
      unfinished/<key>/     lock, checkpoint, evaluations so far and log of a job that is not done

The store is a folder or a URL of fsspec (`s3://bucket/runs`). Unfinished work is always on a disk:
in the folder, so that hosts which share it share the work, else in a scratch folder of this
machine. A key is a hash of all that decides a run: stores of several machines are merged by
copying what the other lacks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from zoo_core.errors import Unwritable, ZooError
from zoo_leaderboard.result import Cell, Result, Variant
from zoo_leaderboard.store.files import Listed, NotAFile
from zoo_leaderboard.store.folder import write_atomically
from zoo_leaderboard.store.lock import locked
from zoo_leaderboard.store.names import RESULTS, agent_name, is_record, record_name
from zoo_leaderboard.store.opening import open_files
from zoo_leaderboard.store.plans import Plans
from zoo_leaderboard.store.records import Damaged, Unreadable, note_damage, parse, read

STORE_VARIABLE = "ZOO_RUNS"
AGENT = "agent.pt"
"""File in a job's folder: the policy of a run whose store is not a folder."""
PENDING = "result.json"
"""File in a job's folder: the record whose policy is still to be sent."""
ATTEMPTS = 10
"""Maximum attempts to write a record while other processes write the same one."""
LARGEST_RECORD = 1 << 28
"""Maximum size of a record in bytes; a larger file is not read."""


def default_root() -> str:
    """The default store: `$ZOO_RUNS`, else `runs` in the working folder."""
    return os.environ.get(STORE_VARIABLE) or "runs"


class Store:
    """Results, plans and unfinished work in one place.

    Args:
        place: A folder or an fsspec URL, created by the first write. Default: `default_root()`.

    Raises:
        ZooError: a URL of an unknown kind, or of one whose package is not installed.
    """

    def __init__(self, place: Path | str | None = None) -> None:
        self.files = open_files(default_root() if place is None else place)
        self.plans = Plans(self.files)

    def __str__(self) -> str:
        """The path or URL with which another process can open the same store."""
        return self.files.full()

    @property
    def root(self) -> Path:
        """The folder of a store that is on this machine.

        Raises:
            ZooError: the store is at a URL.
        """
        if self.files.folder is None:
            raise ZooError(f"the store {self} is not a folder of this machine")
        return self.files.folder

    @property
    def identity(self) -> str:
        """A name of the place that is the same for every way to write it."""
        folder = self.files.folder
        return str(self) if folder is None else str(folder.absolute())

    @property
    def scratch(self) -> Path:
        """A folder for files that may be lost: the store itself, or a local folder."""
        from zoo_leaderboard.datasets.home import zoo_home

        if self.files.folder is not None:
            return self.files.folder
        return zoo_home() / "stores" / hashlib.sha256(self.identity.encode()).hexdigest()[:16]

    def name(self, cell: Cell, key: str) -> str:
        """The name of a run's record, relative to the store."""
        return record_name(cell, key)

    def names(self, cell: Cell, key: str) -> list[str]:
        """The names that a run's record can have, the cell's own first. A row with equal settings
        has the same key, and may be of the other variant."""
        others = [v for v in get_args(Variant) if v != cell.variant]
        variants = [cell.variant, *others]
        return [record_name(cell.model_copy(update={"variant": v}), key) for v in variants]

    def path(self, cell: Cell, key: str) -> Path:
        """The path of a run's record.

        Raises:
            ZooError: the store is not a folder.
        """
        return self.root / self.name(cell, key)

    def agent_path(self, cell: Cell, key: str) -> Path:
        """The path to which a job writes a run's policy: next to the record in a store that is a
        folder, else in the job's folder, from which `put` sends it."""
        if self.files.folder is None:
            return self.unfinished(key) / AGENT
        return self.files.folder / agent_name(self.name(cell, key))

    def unfinished(self, key: str) -> Path:
        """The folder of an unfinished job."""
        return self.scratch / "unfinished" / key

    def check_writable(self) -> None:
        """Checks that the store can be written, and creates its folder.

        Raises:
            Unwritable: it cannot be written, or has no room for a result.
        """
        if reason := self.files.why_not_writable():
            raise Unwritable(
                f"cannot write to the store {self}: {reason}; "
                f"choose another with --store or {STORE_VARIABLE}"
            )

    def check_shared(self) -> None:
        """Raises ZooError if the processes of jobs cannot access the store."""
        if not self.files.shared:
            raise ZooError(
                f"the store {self} is of this process only; jobs are others: choose a folder"
            )

    def get(self, cell: Cell, key: str) -> Result | Damaged | None:
        """A run's record or a note of its damage; None if there is no record."""
        best: Result | Damaged | None = None
        for found in map(self._find, self.names(cell, key)):
            if isinstance(found, Result) and found.status == "finished":
                return found
            if best is None or (isinstance(best, Damaged) and isinstance(found, Result)):
                best = found
        return best

    def _find(self, name: str) -> Result | Damaged | None:
        try:
            content: bytes | Exception = self.files.read(name)
        except FileNotFoundError:
            return None
        except ZooError as error:
            content = error
        return parse(content, self.files.full(name), name)

    def read(self, name: str) -> Result | Damaged:
        """The record of a listed name, or a note of its file's damage."""
        found = self._find(name)
        gone = FileNotFoundError("the file is gone")
        return parse(gone, self.files.full(name), name) if found is None else found

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, Result | Damaged]]:
        """Many records in the order of their names, without removed ones. Files that cost a request
        each are read in batches."""
        for name, content in self.files.read_all(names):
            if not isinstance(content, FileNotFoundError):
                yield name, parse(content, self.files.full(name), name)

    def damaged(self, name: str, reason: str) -> Damaged:
        """A note of damage for a listed name."""
        return note_damage(self.files.full(name), name, reason)

    def listing(self) -> list[Listed]:
        """Every record's file, in the order of the names, without opening any.

        Raises:
            ZooError: there is no such store, or it cannot be listed now.
        """
        return self.survey()[0]

    def survey(self) -> tuple[list[Listed], list[Damaged]]:
        """Every record's file in the order of the names, without opening any, and the files known
        to be unreadable.

        Raises:
            ZooError: there is no such store, or it cannot be listed now.
        """
        self.check_exists()
        files: list[Listed] = []
        damaged: list[Damaged] = []
        for file in self.files.list(RESULTS):
            problem = file.problem or _problem(file)
            if not is_record(file.name) and (problem is None or isinstance(problem, NotAFile)):
                continue
            if problem is None:
                files.append(file)
            else:
                found = parse(problem, self.files.full(file.name), file.name)
                assert isinstance(found, Damaged)
                damaged.append(found)
        return files, damaged

    def put(self, result: Result) -> Path | None:
        """Writes a record, and sends its policy if that is still in the job's folder.

        A finished record is never replaced: one from another runner is kept with its policy. A
        damaged file of the same name is moved aside, never overwritten.

        Returns:
            The record's file if the store is a folder, else None.

        Raises:
            Unwritable: it cannot be written, or what is in its place cannot be read now.
        """
        name = self.name(result.cell, result.key)
        content = (result.model_dump_json(indent=1) + "\n").encode()
        agent = self.agent_path(result.cell, result.key)
        unsent = self.files.folder is None and result.failure is None and agent.exists()
        if unsent:
            write_atomically(self.unfinished(result.key) / PENDING, content)
        self.add(name, content, agent if unsent else None)
        if unsent:
            (self.unfinished(result.key) / PENDING).unlink(missing_ok=True)
        return None if self.files.folder is None else self.files.folder / name

    def add(self, name: str, content: bytes, agent: Path | None = None) -> bool:
        """Writes a record's content, by the rules of `put`.

        The policy is sent after its record, so a record has either its own policy or none yet.

        Args:
            name: The name of the record.
            content: The record as JSON.
            agent: The policy that goes with it.

        Returns:
            Whether the record was written; False if there is another finished one.

        Raises:
            Unwritable: it cannot be written, or what is in its place cannot be read now.
        """
        for _ in range(ATTEMPTS):
            found = self._find(name)
            if isinstance(found, Unreadable):
                raise Unwritable(f"cannot write over {found.place}: {found.reason}")
            if isinstance(found, Damaged):
                self._set_aside(name)
            if isinstance(found, Result):
                if found.status == "failed":
                    self.files.write(name, content)
                break
            # Another runner may be quicker; its record is replaced if it is a failed one.
            if self.files.create(name, content):
                break
        else:
            raise Unwritable(
                f"cannot write {self.files.full(name)}: others write there all the time"
            )
        # Read back, since a request without a response may have been carried out.
        written = self._holds(name, content)
        if written and agent is not None:
            self.files.send(agent, agent_name(name))
        return written

    def _holds(self, name: str, content: bytes) -> bool:
        try:
            return self.files.read(name) == content
        except FileNotFoundError:
            return False
        except ZooError as error:
            raise Unwritable(f"cannot read back {self.files.full(name)}: {error}") from error

    def settle(self, key: str) -> None:
        """Sends a policy that is missing because this machine died after sending its record."""
        if self.files.folder is None and (self.unfinished(key) / PENDING).exists():
            with self.lock(key) as mine:
                if mine:
                    self.clear(key)

    def _send_pending(self, key: str) -> None:
        """Sends the policy in a job's folder if the store has its record."""
        folder = self.unfinished(key)
        record, agent = read(folder / PENDING), folder / AGENT
        if isinstance(record, Result) and agent.exists():
            name = self.name(record.cell, record.key)
            if self._holds(name, (folder / PENDING).read_bytes()):
                self.files.send(agent, agent_name(name))

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
        files, damaged = self.survey()
        results: list[Result] = []
        for _, found in self.read_all(file.name for file in files):
            if isinstance(found, Result):
                results.append(found)
            else:
                damaged.append(found)
        return results, damaged

    def check_exists(self) -> None:
        """Raises ZooError if the store does not exist."""
        if not self.files.exists():
            raise ZooError(f"no store at {self}; 'zoo leaderboard run' makes one")

    def remember(self, track: str, planned: Mapping[Cell, str]) -> None:
        """Adds requested cells with their keys to the track's plan; see `Plans.add`."""
        self.plans.add(track, planned)

    def planned(self, track: str) -> dict[Cell, str]:
        """Every cell ever requested on a track, with its newest key; see `Plans.read`."""
        return self.plans.read(track).keys

    def lock(self, key: str) -> contextlib.AbstractContextManager[bool]:
        """Holds a job for this process, or yields False if another one holds it; see `locked`."""
        return locked(self.unfinished(key))

    def clear(self, key: str) -> None:
        """Sends the policy of a finished job and removes its folder. Requires the lock.

        Raises:
            Unwritable: the policy cannot be sent.
        """
        if (self.unfinished(key) / PENDING).exists():
            self._send_pending(key)
        shutil.rmtree(self.unfinished(key), ignore_errors=True)


def _problem(file: Listed) -> ZooError | None:
    """The reason why a file cannot be a record, judged by its name and size; None if it can."""
    if file.size > LARGEST_RECORD:
        return NotAFile(f"it has {file.size >> 20:,} MiB, more than any record")
    try:
        file.name.encode()
    except UnicodeEncodeError:
        return NotAFile("its name is not UTF-8")
    return None
