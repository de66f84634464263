"""What a job's process does: hold the job's lock, run it, and leave a record whatever happens."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from zoo_core.errors import Diverged
from zoo_leaderboard.planning import Job
from zoo_leaderboard.result import Failure, Result
from zoo_leaderboard.running.events import write_event
from zoo_leaderboard.running.execution import (
    CHECKPOINT,
    Place,
    Progress,
    Report,
    execute,
    failed,
    forget,
)
from zoo_leaderboard.store import Store

DONE = 0
FAILED = 1
BUSY = 3
INTERRUPTED = 4
"""Exit codes. Busy: another runner has the job. Interrupted: there is no runner any more."""


def work_on(message: dict[str, Any], events: int) -> int:
    """Runs the job of a fork server's message; gives the process's exit code.

    Args:
        message: `id`, `job` and `store`.
        events: The pipe to the runner.
    """
    job, store = Job.model_validate(message["job"]), Store(message["store"])
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    # The terminal's Ctrl-C does not reach this session, but a plugin may have set a handler.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def report(progress: Progress) -> None:
        # However many metrics a plugin has, an event must fit an atomic write.
        told = progress.model_dump(exclude={"metrics"})
        try:
            write_event(events, {"event": "progress", "id": message["id"], **told})
        except OSError:
            # The runner is gone: this is an interruption and no failure of the job, so that it
            # leaves no record, and the next run goes on from the checkpoint.
            os._exit(INTERRUPTED)

    with store.lock(job.key) as mine:
        if not mine:
            return BUSY
        found = store.get(job.cell, job.key)
        if isinstance(found, Result) and found.status == "finished":
            # Another runner finished it between the plan and now.
            store.clear(job.key)
            return DONE
        place = Place(store.agent_path(job.cell, job.key), store.unfinished(job.key))
        if isinstance(found, Result) and _diverged(found):
            # It would only come again from the checkpoint that was kept for whoever looks into it.
            forget(place.work)
        result = attempt(job, place, report)
        store.put(result)
        kept = _diverged(result) and (place.work / CHECKPOINT).exists()
        if result.failure is None or (_diverged(result) and not kept):
            store.clear(job.key)
    return DONE if result.failure is None else FAILED


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
    if isinstance(error, SystemExit):
        name, detail = "SystemExit", f"the code called sys.exit({detail})"
    elif isinstance(error, MemoryError) and not detail:
        detail = "out of memory"
    reason = f"{name}: {detail}" if detail else name
    return Failure(kind="error", reason=reason[:500], traceback=text[-20_000:], step=step)


def tail(path: Path, characters: int = 4000) -> str:
    """The end of a log, for the record of a process that could not write its own."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - characters))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
