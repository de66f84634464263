"""A zygote: one process that has the product imported, from which others are forked.

A fresh interpreter takes 3 s of CPU to import torch, and the fork server of a run 6 s more. A
forked process has, as a fresh one, its own environment, folder, handles and `sys.path`, and no
plugin imported. Two things differ: libraries have read their variables (`OMP_NUM_THREADS`,
`LD_PRELOAD`) already, and `/proc/PID/environ` is the zygote's.

The zygote adopts what its children leave behind, so `descendants` names every process that is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

PRELOADED = ("zoo_core.cli", "zoo_leaderboard.plugin", "zoo_leaderboard.ranking")
LONGEST_REQUEST = 1 << 17
PR_SET_CHILD_SUBREAPER = 36


class Forked:
    """A forked process, with the part of `subprocess.Popen` that its callers use."""

    def __init__(self, pid: int, report: socket.socket) -> None:
        self.pid, self._report = pid, report
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code.

        Raises:
            subprocess.TimeoutExpired: the process is still running after `timeout` seconds.
        """
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("zoo", timeout or 0.0)
            # The report ends without a code if the zygote itself died.
            self.returncode = int(self._report.recv(64) or b"-9")
            self._report.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the process."""
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The end of those who ask for processes: one message each, through a socket."""

    def __init__(self, requests: socket.socket, pid: int) -> None:
        self.requests, self.pid = requests, pid

    def start(
        self, *arguments: str, cwd: Path, env: Mapping[str, str], stdout: int, stderr: int
    ) -> Forked:
        """Starts `zoo ...`, or `python -c CODE ...`, with the given handles and nothing to read."""
        with Path(os.devnull).open("rb") as stdin:
            handles = (stdin.fileno(), stdout, stderr)
            return self._fork(handles, cwd, env, arguments)

    def fork_server(self, env: Mapping[str, str]) -> Forked:
        """Starts the fork server of a run, with pipes to talk to it."""
        requests, own_requests = os.pipe()
        own_events, events = os.pipe()
        try:
            process = self._fork((requests, events, 2), Path.cwd(), env)
        finally:
            os.close(requests)
            os.close(events)
        process.stdin = os.fdopen(own_requests, "wb")
        process.stdout = os.fdopen(own_events, "rb", buffering=0)
        return process

    def _fork(
        self,
        handles: tuple[int, int, int],
        cwd: Path,
        env: Mapping[str, str],
        arguments: Sequence[str] = (),
    ) -> Forked:
        request = {"cwd": str(cwd), "env": dict(env), "arguments": arguments}
        report, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            message = json.dumps(request).encode()
            socket.send_fds(self.requests, [message], [*handles, its.fileno()])
        return Forked(int(report.recv(64)), report)


@functools.cache
def zygote() -> Zygote:
    """This process's zygote, which ends with it."""
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own = {name: value for name, value in os.environ.items() if not name.startswith("ZOO_")}
    own.pop("PYTHONPATH", None)
    ends = (its.fileno(), mine.fileno())
    process = subprocess.Popen(
        [sys.executable, __file__, *map(str, ends)],
        # A pipe that closes when this process ends.
        stdin=subprocess.PIPE,
        pass_fds=ends,
        env={**own, "OMP_NUM_THREADS": "1"},
    )
    its.close()
    return Zygote(mine, process.pid)


# -- the zygote's own process


def serve(requests: socket.socket, client: Zygote) -> None:
    """Forks a process per request until stdin closes."""
    preload()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake_out, wake_in = os.pipe()
    os.set_blocking(wake_out, False)
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    reports: dict[int, socket.socket] = {}
    while True:
        ready = select.select([0, requests, wake_out], [], [])[0]
        if 0 in ready:
            return
        if wake_out in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_out, 4096)
            reap(reports)
        if requests in ready:
            message, (*handles, report), _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 4)
            pid = os.fork()
            if pid == 0:
                for handle in (wake_in, wake_out, report, requests.detach()):
                    os.close(handle)
                for other in reports.values():
                    other.close()
                become(json.loads(message), handles, client)
            for handle in handles:
                os.close(handle)
            reports[pid] = socket.socket(fileno=report)
            reports[pid].send(str(pid).encode())


def preload() -> None:
    """Imports what every process of the product needs, and no plugin of an algorithm."""
    from zoo_leaderboard.running import forkserver

    forkserver._preload()
    for name in PRELOADED:
        importlib.import_module(name)


def reap(reports: dict[int, socket.socket]) -> None:
    """Reports the children that ended; orphans have nobody to report to."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if report := reports.pop(pid, None):
                with report, contextlib.suppress(OSError):
                    report.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(request: dict[str, Any], handles: Sequence[int], client: Zygote) -> NoReturn:
    """Turns this fork into the process of a request, and ends with it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    own = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    # As `python -m` has it: the folder, what the variable names, the installation.
    sys.path[:] = [request["cwd"], *own, *sys.path[1:]]
    from zoo_leaderboard.running.forkserver import ForkServer, serve

    if not request["arguments"]:
        client.requests.close()
        os.setsid()
        end(serve)
    ForkServer._spawn = staticmethod(client.fork_server)
    program, *arguments = request["arguments"]
    if program == "zoo":
        from zoo_core.cli import main

        sys.argv = ["zoo", *arguments]
        end(functools.partial(main, arguments))
    _, code, *arguments = arguments
    sys.argv = ["-c", *arguments]
    end(functools.partial(exec, code, {"__name__": "__main__"}))


def end(target: Callable[[], None]) -> NoReturn:
    """Runs `target` and ends as an interpreter would."""
    code = 0
    try:
        target()
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    own_end, client_end = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    serve(own_end, Zygote(client_end, os.getpid()))
