"""Real runs on real disks that meet what happens to machines: nothing finished is lost or altered,
nothing runs twice without need, and every cell says why it has no score."""

import contextlib
import ctypes
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from worlds import BANDIT, processes_with, servers_and_jobs, start, start_fresh, waited, zoo

import zoo_leaderboard
from zoo_leaderboard.store import Damaged, Store

EVERY = 20
"""Steps between evaluations, and so between checkpoints."""


def write_track(world, seeds=3, delay=0.01, steps=120):
    (world / "track.toml").write_text(
        f"""
name = "mine"
summary = "made up"
seeds = {list(range(seeds))}
datasets = ["{BANDIT}"]

[protocol]
episodes = 2
evaluations = {steps // EVERY}

[defaults]
steps = {steps}
batch_size = 16
delay = {delay}
"""
    )
    return world / "track.toml"


def command(store, *more, algorithms=("steady",), workers=1):
    """`zoo leaderboard run` of the track in the working folder."""
    named = [word for name in algorithms for word in ("--algorithm", name)]
    options = ("--store", store, "--workers", workers, *named, *more)
    return ("leaderboard", "run", "--track", "track.toml", *options)


def records(store):
    """The bytes of every record and when it was written."""
    found = {}
    for path in store.glob("results/**/*.json"):
        if not path.name.startswith("."):
            found[path] = path.read_bytes(), path.stat().st_mtime_ns
    return found


def of_seed(store, seed):
    (path,) = store.glob(f"results/**/*.seed{seed}.*.json")
    return path


def evaluated(store):
    """What every run measured, by seed; the times are its own affair."""
    results, damaged = Store(store).load()
    assert damaged == []
    shown = {}
    for result in results:
        episodes = [(e.step, e.act, e.returns, e.lengths) for e in result.evaluations]
        shown[result.cell.seed] = result.status, result.score, episodes, result.training
    return shown


def nobody_is_left(home):
    return waited(lambda: not processes_with(f"ZOO_HOME={home}") + servers_and_jobs()[0])


class Killer:
    """Kills one process of a run, of a kind that it draws."""

    kinds = ("runner", "server", "worker", "worker")

    def __init__(self, seconds):
        self.dice, self.seconds = random.Random(0), seconds
        self.killed = dict.fromkeys(self.kinds, 0)

    def strike(self, runner):
        """Waits for a moment, mostly one when jobs are under way, and kills."""
        if self.dice.random() < 0.8:
            waited(lambda: self.processes(runner)["worker"] or runner.poll() is not None)
        time.sleep(self.dice.expovariate(1 / self.seconds))
        kind = self.dice.choice(self.kinds)
        victims = self.processes(runner)[kind]
        if runner.poll() is None and victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.dice.choice(victims), signal.SIGKILL)
                self.killed[kind] += 1

    def processes(self, runner):
        servers, workers = servers_and_jobs()
        servers = [pid for pid in servers if pid != runner.pid]
        return {"runner": [runner.pid], "server": servers, "worker": workers}


def endure(world, home, kills, seeds, steps, seconds):
    """A plan under kills, on average `seconds` apart, and after them; gives how often each kind of
    process was killed."""
    ledger, store, killer = world / "ledger", world / "killed", Killer(seconds)
    write_track(world, seeds, 0.05, steps)
    quiet = zoo(*command(world / "whole", "--set", "delay=0", workers=2), cwd=world)
    assert quiet.returncode == 0, quiet.stderr
    attack = command(store, workers=2)
    runner = start(*attack, cwd=world, TROUBLE_LEDGER=str(ledger))
    finished = {}
    try:
        while sum(killer.killed.values()) < kills:
            if runner.poll() is not None:
                assert sum(killer.killed.values()) > 0 and len(finished) < seeds
                runner = start(*attack, cwd=world, TROUBLE_LEDGER=str(ledger))
            killer.strike(runner)
            now = records(store)
            assert {path: now[path] for path in finished} == finished
            finished = {p: v for p, v in now.items() if b'"status": "finished"' in v[0]}
        assert runner.wait(600) in {0, 1, -signal.SIGKILL}
    finally:
        runner.kill()
        runner.wait()
    nobody_is_left(home)

    again = zoo(*attack, cwd=world)
    assert again.returncode == 0, again.stdout + again.stderr
    now = records(store)
    assert {path: now[path] for path in finished} == finished
    assert len(now) == seeds
    assert evaluated(store) == evaluated(world / "whole")
    # Each kill ends two jobs at most, which then begin again; nothing else does.
    begun = len(ledger.read_text().splitlines()) if ledger.exists() else 0
    assert begun <= seeds + 2 * sum(killer.killed.values())
    return killer.killed


def test_a_few_kills_at_random_moments_cost_time_only(world, home):
    endure(world, home, kills=2, seeds=2, steps=120, seconds=0.6)


@pytest.mark.slow
def test_fifty_kills_at_random_moments_cost_time_only(world, home):
    killed = endure(world, home, kills=50, seeds=12, steps=480, seconds=2.5)
    print(f"killed: {killed}")
    assert sum(killed.values()) == 50
    assert min(killed.values()) > 0


def mounted(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a disk: {done.stderr.strip()}")


@pytest.fixture
def disk(world):
    """A store's disk of 6 MiB."""
    place = world / "disk"
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("needs the program mount")
    mounted("-t", "tmpfs", "-o", "size=6m", "zoo-test", place)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk):
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            return disk / "filler"


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_takes_no_more_stops_the_run_and_loses_nothing(world, disk, home, fault):
    write_track(world, seeds=3, delay=0.02)
    store = disk / "runs"
    runner = start(*command(store), cwd=world)
    waited(lambda: records(store))
    if fault == "full":
        filler = fill(disk)
    else:
        # What is open stays writable below the new mount, as handles do on a disk that fails.
        mounted("--bind", disk, disk)
        mounted("-o", "remount,bind,ro", disk)
    done = records(store)
    assert runner.wait(300) == 2
    said = (world / "out").read_text()
    reason = {"full": "No space left on device", "read-only": "Read-only file system"}[fault]
    assert re.search(f"seed [012]  failed: .*{reason}", said)
    assert re.search(f"zoo: cannot write to the store .*{reason}", said)
    assert records(store) == done
    assert "steady" in zoo_leaderboard.load(store, str(world / "track.toml")).table()
    refused = zoo(*command(store), cwd=world)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert reason in refused.stderr
    nobody_is_left(home)

    if fault == "full":
        filler.unlink()
    else:
        subprocess.run(["umount", disk], check=True)
    again = zoo(*command(store), cwd=world)
    assert again.returncode == 0, again.stdout + again.stderr
    after = records(store)
    assert {path: after[path] for path in done} == done
    assert len(after) == 3


def test_two_runners_on_one_store_do_each_job_once_the_failing_too(world, home):
    write_track(world, seeds=3)
    ledger, store = world / "ledger", world / "runs"
    shared = command(store, algorithms=("steady", "raises"))
    runners = [start(*shared, cwd=world, TROUBLE_LEDGER=str(ledger)) for _ in range(2)]
    assert [runner.wait(600) for runner in runners] == [1, 1]
    begun = [line.split()[0] for line in ledger.read_text().splitlines()]
    assert sorted(begun) == ["raises"] * 3 + ["steady"] * 3
    results, damaged = Store(store).load()
    assert damaged == []
    assert [result.times.attempts for result in results] == [1] * 6
    assert sorted(result.status for result in results) == ["failed"] * 3 + ["finished"] * 3
    nobody_is_left(home)


HOSTILE = '{"schema_version": 1, "key": "<script>alert(1)</script>", "cell": ' + "[" * 5000


def test_damaged_files_cost_their_own_cells_and_are_kept(world):
    write_track(world, seeds=5, delay=0.0)
    store = world / "runs"
    assert zoo(*command(store), cwd=world).returncode == 0
    sound = of_seed(store, 0).read_bytes()
    damage = {1: of_seed(store, 1).read_bytes()[:700], 2: b"", 3: HOSTILE.encode()}
    for seed, content in damage.items():
        of_seed(store, seed).write_bytes(content)
    # Reading from a pipe would wait for ever.
    pipe = of_seed(store, 4)
    pipe.unlink()
    os.mkfifo(pipe)

    run = zoo(*command(store), cwd=world)
    assert run.returncode == 1
    for seed in range(1, 5):
        assert f"seed {seed}: damaged result file" in run.stderr
    table = zoo(
        "leaderboard", "table", "--full", "--track", "track.toml", "--store", store, cwd=world
    )
    assert table.returncode == 0
    assert table.stdout.count("damaged result file") == 4
    for seed, content in damage.items():
        assert of_seed(store, seed).read_bytes() == content

    pipe.unlink()
    assert zoo(*command(store, "--retry-failed"), cwd=world).returncode == 0
    assert of_seed(store, 0).read_bytes() == sound
    assert len(evaluated(store)) == 5
    aside = {path.read_bytes() for path in store.glob("results/**/*.damaged")}
    assert aside == set(damage.values())


CLOCK = """
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The wall's clock, a day ahead or behind, differently at every look. */
static long jump(void) {
    static unsigned state = 1;
    state = state * 1103515245u + 12345u;
    return (long)(state >> 16) % 172800 - 86400;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += jump();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.fixture
def jumping_clock(tmp_path):
    """A library that makes the wall's clock jump for the processes that load it first."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    (tmp_path / "clock.c").write_text(CLOCK)
    made = tmp_path / "clock.so"
    built = [compiler, "-shared", "-fPIC", "-o", made, tmp_path / "clock.c"]
    subprocess.run(built, check=True)
    ctypes.CDLL(str(made))
    look = "import time; print(len({round(time.time(), -3) for _ in range(50)}))"
    shown = subprocess.run(
        [sys.executable, "-c", look],
        env={**os.environ, "LD_PRELOAD": str(made)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(shown.stdout) > 10
    return made


def test_a_clock_that_jumps_ends_no_job_and_saves_none_that_hangs(world, home, jumping_clock):
    write_track(world, seeds=1, delay=0.0)
    store, names = world / "runs", ("steady", "hangs")
    options = command(store, "--time-limit", 30, algorithms=names, workers=2)
    runner = start_fresh(*options, cwd=world, LD_PRELOAD=str(jumping_clock))
    assert runner.wait(600) == 1
    found = {result.cell.algorithm: result for result in Store(store).load()[0]}
    assert found["steady"].status == "finished"
    assert found["hangs"].failure.kind == "timeout"
    spent = found["steady"].times
    assert 0.0 < spent.training < 600.0 and 0.0 < spent.evaluation < 600.0
    done = records(store)
    runner = start_fresh(*options, cwd=world, LD_PRELOAD=str(jumping_clock))
    assert runner.wait(600) == 1
    assert records(store) == done
    nobody_is_left(home)


def test_ctrl_c_leaves_a_store_to_go_on_from(world, home):
    write_track(world, seeds=2, delay=0.05)
    store = world / "runs"
    runner = start(*command(store), cwd=world)
    waited(lambda: list(store.glob("unfinished/*/checkpoint.pt")))
    runner.send_signal(signal.SIGINT)
    assert runner.wait(60) == 130
    assert "run the same command again to resume" in (world / "out").read_text()
    nobody_is_left(home)
    assert not any(isinstance(found, Damaged) for found in Store(store).load()[1])
    again = zoo(*command(store), cwd=world)
    assert again.returncode == 0
    assert "resumes at step" in again.stdout
    attempts = [json.loads(value)["times"]["attempts"] for value, _ in records(store).values()]
    assert sorted(attempts) == [1, 2]
