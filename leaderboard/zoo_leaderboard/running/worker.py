"""A job's process: holds the job's lock, runs it, and always leaves a record."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from zoo_core.errors import Diverged, Unwritable
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import Failure, Result
from zoo_leaderboard.running.events import write_event
from zoo_leaderboard.running.execution import execute
from zoo_leaderboard.running.outcome import failed
from zoo_leaderboard.running.run import CHECKPOINT, Place, Progress, Report, forget
from zoo_leaderboard.running.tracking import run_path
from zoo_leaderboard.store import Damaged, Store

DONE = 0
FAILED = 1
BUSY = 3
INTERRUPTED = 4
UNWRITABLE = 5
"""Exit codes. Busy: another runner has the job. Interrupted: there is no runner any more.
Unwritable: the store takes no record; an event says why."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors of a disk that is full or read-only."""


def work_on(message: dict[str, Any], events: int) -> int:
    """Runs the job of a fork server's message; gives the process's exit code.

    Args:
        message: `id`, `job`, `store`, and `seen`, the stamp of a failed record to replace.
        events: The pipe to the runner.
    """
    job, store = Job.model_validate(message["job"]), Store(message["store"])
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    # The terminal's Ctrl-C does not reach this session, but a plugin may have set a handler.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    own = os.getpid()

    def report(progress: Progress) -> None:
        _end_copies(own)
        # However many metrics a plugin has, an event must fit an atomic write.
        told = progress.model_dump(exclude={"metrics"})
        try:
            write_event(events, {"event": "progress", "id": message["id"], **told})
        except OSError:
            # The runner is gone: this is an interruption and no failure of the job, so that it
            # leaves no record, and the next run resumes from the checkpoint.
            os._exit(INTERRUPTED)

    try:
        return _hold(job, store, message["seen"], report)
    except (Unwritable, OSError) as error:
        reason = _unwritten(error)
        write_event(events, {"event": "unwritable", "id": message["id"], "reason": reason})
        return UNWRITABLE


def _hold(job: Job, store: Store, seen: str, report: Report) -> int:
    """Runs a job that no other process has, and leaves its record."""
    own = os.getpid()
    with store.lock(job.key) as mine:
        if not mine:
            return BUSY
        found = store.get(job.cell, job.key)
        made = made_since(store, job, seen)
        if made is not None:
            # Another runner made it between the plan and now.
            if made.status == "finished":
                store.clear(job.key)
            return DONE
        place = Place(
            store.agent_path(job.cell, job.key),
            store.unfinished(job.key),
            store.scratch / "trackers",
            run_path(job),
        )
        if isinstance(found, Result) and _diverged(found):
            # The checkpoint, kept for diagnosis, would only diverge again.
            forget(place.work)
        result = attempt(job, place, report)
        _end_copies(own)
        store.put(result)
        kept = _diverged(result) and (place.work / CHECKPOINT).exists()
        if result.failure is None or (_diverged(result) and not kept):
            store.clear(job.key)
    return DONE if result.failure is None else FAILED


def _end_copies(own: int) -> None:
    """Ends a process that a plugin forked and let run on as if it were the job's own."""
    if os.getpid() != own:
        os._exit(FAILED)


def stamp(found: Result | Damaged | None) -> str:
    """Hash that identifies a failed record; empty if there is none."""
    if not isinstance(found, Result) or found.status == "finished":
        return ""
    return hashlib.sha256(found.model_dump_json().encode()).hexdigest()


def made_since(store: Store, job: Job, seen: str) -> Result | None:
    """The job's record; None if there is none, or only the failed one that the run replaces.

    Args:
        store: Store of the record.
        job: The job.
        seen: Stamp of the failed record.
    """
    found = store.get(job.cell, job.key)
    if not isinstance(found, Result):
        return None
    return found if found.status == "finished" or stamp(found) != seen else None


def _diverged(result: Result) -> bool:
    return result.failure is not None and result.failure.kind == "diverged"


def attempt(job: Job, place: Place, report: Report) -> Result:
    """Runs a job; whatever it raises becomes a record of the failure."""
    last = Progress()

    def remember(progress: Progress) -> None:
        nonlocal last
        last = progress
        report(progress)

    try:
        return execute(job, place, remember)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # SystemExit too: a plugin must not end the process without a record.
        with contextlib.suppress(OSError):
            traceback.print_exc()
            sys.stderr.flush()
        return failed(job, failure_of(error, last.step), place.work)


def failure_of(error: BaseException, step: int) -> Failure:
    """The record of an exception: its kind, one line, and the traceback."""
    text = "".join(traceback.format_exception(error)).rstrip()
    detail = str(error).strip().split("\n")[0]
    if isinstance(error, Diverged):
        return Failure(kind="diverged", reason=detail, traceback=text, step=step)
    name = type(error).__name__
    full = isinstance(error, OSError) and error.errno in FULL
    if full or isinstance(error, Unwritable):
        return Failure(kind="disk", reason=_unwritten(error), traceback=text[-20_000:], step=step)
    if isinstance(error, SystemExit):
        name, detail = "SystemExit", f"the code called sys.exit({detail})"
    elif isinstance(error, MemoryError) and not detail:
        detail = "out of memory"
    reason = f"{name}: {detail}" if detail else name
    return Failure(kind="error", reason=reason[:500], traceback=text[-20_000:], step=step)


def _unwritten(error: BaseException) -> str:
    """One-line description of the file that could not be written, and the reason."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot write {error.filename or 'a file'}: {error.strerror}"[:500]
    return str(error).split("\n")[0][:500]


def tail(path: Path, characters: int = 4000) -> str:
    """The end of a log, for the record of a process that could not write its own."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - characters))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
