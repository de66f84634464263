"""A world of its own for tests that run real processes: plugin, data folder, store."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

import pytest
import zoo_trouble
from zygote import Forked, zygote

from zoo_core import registry
from zoo_leaderboard.running.forkserver import ForkServer

BANDIT = "test/bandit-v0"
PLUGINS = "leaderboard,trouble"
T = TypeVar("T")


def build_bandit(home: Path) -> None:
    """Writes a small copy of the embedded bandit, whose episodes have one step, where datasets
    are looked for: a set of 2,000 takes Minari's format seconds."""
    from zoo_leaderboard.datasets.embedded.bandit import BUILDER, episodes
    from zoo_leaderboard.datasets.embedded.builder import write

    folder = home / "datasets" / BANDIT
    folder.mkdir(parents=True)
    small = replace(BUILDER, id=BANDIT, episodes=lambda: itertools.islice(episodes(), 80))
    write(small, folder / "data")


def install_trouble(site: Path) -> Path:
    """Puts the plugin and its metadata into a folder, as pip would."""
    site.mkdir(parents=True, exist_ok=True)
    shutil.copy(zoo_trouble.__file__, site / "zoo_trouble.py")
    info = site / "zoo_trouble-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-trouble\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoo]\ntrouble = zoo_trouble\n")
    return site


def environment(site: Path, home: Path) -> dict[str, str]:
    """The variables under which processes see only the leaderboard and the plugin."""
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "ZOO_HOME": str(home),
        "ZOO_PLUGINS": PLUGINS,
        "OMP_NUM_THREADS": "1",
    }


def zoo(*arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    """Runs the command `zoo` in a separate process, a fork of the zygote."""
    return _run("zoo", *arguments, cwd=cwd, **variables)


def python(
    code: str, *arguments: object, cwd: Path, **variables: str
) -> subprocess.CompletedProcess:
    """Runs `python -c CODE ...` in a separate process, a fork of the zygote."""
    return _run("python", "-c", code, *arguments, cwd=cwd, **variables)


def _run(*command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        code = _start(command, cwd, variables, out, error).wait(600)
        for stream in (out, error):
            stream.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), error.read())


def start(*arguments: object, cwd: Path, **variables: str) -> Forked:
    """Starts the command `zoo`, which writes to the file `out` of its folder."""
    with (cwd / "out").open("a") as out:
        return _start(("zoo", *arguments), cwd, variables, out, out)


def _start(
    command: Sequence[object], cwd: Path, variables: Mapping[str, str], out: IO, error: IO
) -> Forked:
    return zygote().start(
        *map(str, command),
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=out.fileno(),
        stderr=error.fileno(),
    )


def start_fresh(*arguments: object, cwd: Path, **variables: str) -> subprocess.Popen:
    """Starts the command `zoo` as `start` does, in a fresh interpreter."""
    with (cwd / "out").open("a") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "zoo_core", *map(str, arguments)],
            cwd=cwd,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
        )


def waited(condition: Callable[[], T], seconds: float = 300.0) -> T:
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def children_of(pid: int) -> list[int]:
    """The processes that were forked by a process or left to it, but for those that have ended."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state != "Z":
                found.append(int(place.name))
    return found


def servers_and_jobs() -> tuple[list[int], list[int]]:
    """The fork servers of runs that are under way (and the commands `zoo`), and their jobs."""
    servers = children_of(zygote().pid)
    return servers, [job for server in servers for job in children_of(server)]


def processes_with(marker: str) -> list[int]:
    """The fresh interpreters whose environment holds `marker`, and their forks."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                if marker.encode() in (place / "environ").read_bytes():
                    state = (place / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found.append(int(place.name))
            except OSError:
                continue
    return found


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """A data folder of its own, which holds a small bandit."""
    folder = tmp_path_factory.mktemp("home")
    build_bandit(folder)
    return folder


@pytest.fixture
def world(tmp_path, home, monkeypatch) -> Path:
    """A working folder in which this process and its children see the misbehaving plugin only."""
    site = install_trouble(tmp_path / "site")
    for name, value in environment(site, home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ZOO_RUNS", raising=False)
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("ZOO_PLUGINS", PLUGINS)
    monkeypatch.delitem(sys.modules, "zoo_trouble", raising=False)
    monkeypatch.setattr(ForkServer, "_spawn", staticmethod(zygote().fork_server))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    registry.installed.cache_clear()
    yield folder
    registry.installed.cache_clear()
