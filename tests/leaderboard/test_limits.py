"""What bounds a job: sizes, resident memory of real process groups, time, and the log."""

import os
import signal
import subprocess
import sys
import time

import pytest
from worlds import BANDIT

from zoo_core import ZooError
from zoo_leaderboard.planning import single
from zoo_leaderboard.running.limits import LONGEST_LOG, Limits, Usage, Watch, cut_log
from zoo_leaderboard.running.memory import memory_of_groups, parse_size, size_text
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.running.runner import Orders, Summary, _Runner, _Task
from zoo_leaderboard.store import Store

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 << 30),
        ("4G", 4 << 30),
        (" 1.5 mib ", 3 << 19),
        ("500MB", 500_000_000),
        ("2KB", 2000),
        ("1000000", 1_000_000),
        ("7B", 7),
    ],
)
def test_sizes_are_read_in_the_usual_ways(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1G", "4 gigs", "0", "0.2", "4iB", "1e9", "inf"])
def test_what_is_no_size_is_refused_in_one_line(text):
    with pytest.raises(ZooError, match="is no size; "):
        parse_size(text)


def test_sizes_are_shown_in_few_digits():
    shown = [size_text(size) for size in (12, 4 << 30, 3_690_987, 1010 * MIB, 5000 << 30)]
    assert shown == ["12 B", "4 GiB", "3.52 MiB", "1010 MiB", "5000 GiB"]


HOLDER = """
import os, time
held = b"x" * (64 << 20)
os.fork()
os.write(1, b"ready\\n")
time.sleep(600)
"""


@pytest.fixture
def holder():
    """A process group of a parent and a child that share 64 MiB."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, process_group=0
    )
    for _ in range(2):
        assert process.stdout.readline() == b"ready\n"
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_memory_is_that_of_the_whole_group_and_what_is_shared_counts_once(holder):
    (shared,) = memory_of_groups({holder}, enough=0).values()
    assert 64 * MIB < shared < 120 * MIB
    (quick,) = memory_of_groups({holder}, enough=1 << 40).values()
    assert quick > 128 * MIB
    # A group that is gone holds nothing.
    assert memory_of_groups({holder, 2**22 + 1}, enough=0)[2**22 + 1] == 0


def test_a_job_over_a_limit_is_named_with_what_it_took(holder):
    jobs = {1: Usage(seconds=2.0, group=holder), 2: Usage(seconds=9.0, group=os.getpgid(0))}
    assert Watch(Limits()).overruns(jobs) == {}
    found = Watch(Limits(seconds=5.0, memory=32 * MIB)).overruns(jobs)
    assert found[1].kind == "memory"
    assert found[1].reason.startswith("over the memory limit of 32 MiB: it held ")
    assert (found[2].kind, found[2].reason) == ("timeout", "over the time limit of 5 s")


def test_only_the_end_of_a_long_log_is_kept_while_its_writer_goes_on(tmp_path):
    path = tmp_path / "log"
    writer = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(writer, b"first\n")
    cut_log(path)
    assert path.read_bytes() == b"first\n"
    os.write(writer, b"x" * LONGEST_LOG + b"\nlast\n")
    cut_log(path)
    os.write(writer, b"after\n")
    os.close(writer)
    content = path.read_bytes()
    assert len(content) < 100_000
    assert content.startswith(b"[what came before was cut")
    assert content.endswith(b"x\nlast\nafter\n")
    cut_log(tmp_path / "none")


def test_looks_at_memory_are_not_more_often_than_they_need_be(holder):
    watch = Watch(Limits(memory=1))
    jobs = {1: Usage(seconds=0.0, group=holder)}
    assert set(watch.overruns(jobs)) == {1}
    assert watch.overruns(jobs) == {}
    time.sleep(0.3)
    assert set(watch.overruns(jobs)) == {1}


class NoServer:
    """Takes the runner's orders, and starts nothing."""

    def start(self, *order):
        pass

    def kill(self, number):
        pass


def test_a_job_that_is_retried_is_watched_again_and_not_judged_by_its_past(world):
    """The fork server died just when a job had gone over its limit."""
    job = single("steady", BANDIT, settings={"steps": 1})
    store, summary = Store(world / "runs"), Summary()
    limits = Limits(seconds=1.0)
    task = _Task(0, job, "")
    runner = _Runner([task], Orders(store, Display(), summary, 1, limits), 1)
    runner._start(NoServer(), runner.pending.popleft())
    task.group, task.unwritable = 2**22 + 1, "cannot write: the disk is full"
    task.started = time.monotonic() - 5.0
    runner._watch_over(NoServer())
    assert task.overrun is not None
    runner._server_died()
    runner._start(NoServer(), runner.pending.popleft())
    assert (task.overrun, task.unwritable) == (None, "")
    assert runner._explain(task, -signal.SIGSEGV).kind == "error"
    task.group, task.started = 2**22 + 1, time.monotonic()
    runner._watch_over(NoServer())
    assert task.overrun.kind == "timeout"
