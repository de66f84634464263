"""A small process that has torch loaded and forks one child a job.

Importing torch takes seconds and forking a warm process milliseconds. Python's own fork server is
not used: it runs the user's main module again in every child, is one per process, and tells less
about how a child died. This one is one pipe in, one pipe out:

    in    {"id": 3, "work": "runs/unfinished/...", "store": "runs", "seen": "", "job": {...}}
                                                                        start a job
          {"kill": 3}                                                   end its process group
    out   {"event": "ready"}, {"event": "started", "id": 3, "pid": 71}
          {"event": "progress", "id": 3, ...} and {"event": "unwritable", "id": 3, "reason": ...}
          from the children, which write to the same pipe: a line shorter than PIPE_BUF is one
          atomic write
          {"event": "exit", "id": 3, "code": -9}                        negative for a signal

When the input closes, because the runner ended or died, the children are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from zoo_leaderboard.running.events import write_event

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FIRST_TO_GO = 500
"""Score (-1000 to 1000) that makes the kernel end jobs first when memory runs out."""
STRAY_GENERATIONS = 20
"""Maximum depth of the search for the daemons' children."""


class ForkServer:
    """The runner's end: starts the server and talks to it.

    Leaving the `with` block ends the server and all of its children.

    Args:
        threads: Threads per job, also set for libraries that read their number when loaded.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = str(threads)

    def __enter__(self) -> Self:
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        self._process = self._spawn({**os.environ, **dict.fromkeys(variables, self._threads)})
        self._buffer = b""
        return self

    @staticmethod
    def _spawn(environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "zoo_leaderboard.running.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in a terminal reaches the whole foreground group; only the runner acts on it.
            start_new_session=True,
            env=environment,
        )

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def start(self, number: int, job: dict[str, Any], store: str, work: str, seen: str) -> None:
        """Starts a job; its events carry `number`."""
        self._send({"id": number, "job": job, "store": store, "work": work, "seen": seen})

    def kill(self, number: int) -> None:
        """Ends a job's process group."""
        self._send({"kill": number})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def events(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Events so far, after waiting up to `timeout` seconds for the first one.

        Raises:
            RuntimeError: the server itself is gone.
        """
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        while select.select([handle], [], [], timeout)[0]:
            received = os.read(handle, 1 << 16)
            if not received:
                raise RuntimeError(f"the fork server ended with code {self._process.wait()}")
            *lines, self._buffer = (self._buffer + received).split(b"\n")
            for line in lines:
                # A plugin that writes to handles which are not its own is no event.
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict) and "event" in event:
                        yield event
            timeout = 0.0


def serve() -> None:
    """The server's process: forks a child per request until its input closes."""
    requests, events = os.dup(0), os.dup(1)
    # Whatever prints to stdout from here on must not reach the event pipe.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    # What a job leaves behind as a daemon becomes this process's child, and ends with it.
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _preload()
    wake_out, wake_in = os.pipe()
    for handle in (wake_out, wake_in):
        os.set_blocking(handle, False)
    signal.set_wakeup_fd(wake_in)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    # Keeps the collector from touching, and so copying, the pages that children share.
    gc.collect()
    gc.freeze()
    write_event(events, {"event": "ready"})
    children: dict[int, int] = {}
    buffer = b""
    try:
        while True:
            ready = select.select([requests, wake_out], [], [])[0]
            if wake_out in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_out, 4096)
                _reap(children, events)
                if not children:
                    _end_strays()
            if requests in ready:
                received = os.read(requests, 1 << 16)
                if not received:
                    return
                *lines, buffer = (buffer + received).split(b"\n")
                for line in lines:
                    _handle(json.loads(line), children, events, requests)
    except BrokenPipeError:
        return
    finally:
        for pid in children:
            _kill_group(pid)
        _end_strays()


PRELOADED = (
    "torch",
    "torch._dynamo",
    "gymnasium",
    "minari",
    "zoo_core.builtin",
    "zoo_leaderboard.running.worker",
)
"""Modules that every job needs, except plugins, which may start threads on import."""


def _preload() -> None:
    import torch

    for name in PRELOADED:
        importlib.import_module(name)
    # A child of a process with an OpenMP pool would wait for threads that it does not have.
    torch.set_num_threads(1)


def _handle(message: dict[str, Any], children: dict[int, int], events: int, requests: int) -> None:
    if "kill" in message:
        for pid, number in children.items():
            if number == message["kill"]:
                _kill_group(pid)
        return
    server = os.getpid()
    pid = os.fork()
    if pid:
        children[pid] = message["id"]
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        write_event(events, {"event": "started", "id": message["id"], "pid": pid})
        return
    code = 70
    try:
        os.close(requests)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        _die_with_parent(server)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))
        work = Path(message["work"])
        log = _open_log(work)
        os.dup2(log, 1)
        os.dup2(log, 2)

        from zoo_leaderboard.running.worker import work_on

        code = work_on(message, events)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: the server's own clean-up must not run in its child.
        os._exit(code)


def _open_log(work: Path) -> int:
    """The handle of a job's log; of nothing where it cannot be written, which the job will find."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        return os.open(work / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value)


def _die_with_parent(parent: int) -> None:
    """Asks the kernel to end this process when the server dies, however it dies."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(70)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _end_strays() -> None:
    """Ends the daemons that jobs left behind, and their children in turn."""
    for _ in range(STRAY_GENERATIONS):
        strays = [pid for pid in _processes() if _parent(pid) == os.getpid()]
        if not strays:
            return
        for pid in strays:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def _reap(children: dict[int, int], events: int) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        number = children.pop(pid, None)
        # What the job forked ends with it.
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        if number is not None:
            code = os.waitstatus_to_exitcode(status)
            write_event(events, {"event": "exit", "id": number, "code": code})


if __name__ == "__main__":
    serve()
