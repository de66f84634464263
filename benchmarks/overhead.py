"""What a run costs beside its training.

    python benchmarks/overhead.py start            from a job's start to its first update
    python benchmarks/overhead.py share runs       of a finished store: time by what it was spent on

`start` runs short jobs of the demo track one after the other in the local engine, in an empty
store. The first line is the process that all jobs are forked from, which imports torch, Gymnasium
and Minari once a run; a job imports its plugin, reads its dataset, makes its agent and does one
update. Beside the wall's time stands the processor's, in which other programs do not show.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from zoo_leaderboard.planning import Job, plan
from zoo_leaderboard.running.forkserver import ForkServer
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import load_track

DATASET = "zoo/pendulum/mixed-v0"
ALGORITHMS = ("bc", "td3_bc", "diffusion_ql")


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """A process's children."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit():
                stat = (place / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == pid:
                    found.append(int(place.name))
        except OSError:
            continue
    return found


def first_update(server: ForkServer, number: int, job: Job, store: Store) -> tuple[float, float]:
    """Wall and processor seconds from a job's start to its first update; waits for its end."""
    began, group, measured = time.perf_counter(), 0, (0.0, 0.0)
    work = str(store.unfinished(job.key))
    server.start(number, job.model_dump(mode="json"), str(store), work, "")
    while True:
        for event in server.events(1.0):
            if event["event"] == "started":
                group = event["pid"]
            elif event["event"] == "progress" and event["step"] >= 1 and not measured[0]:
                measured = time.perf_counter() - began, processor_seconds(group)
            elif event["event"] == "exit":
                if event["code"] or not measured[0]:
                    raise SystemExit(f"{job.cell} failed: see {work}/log")
                return measured


def start(rounds: int) -> None:
    """Prints the time from start to first update."""
    track = load_track("demo")
    short = track.model_copy(
        update={"protocol": track.protocol.model_copy(update={"episodes": 1, "evaluations": 1})}
    )
    print("| what | seconds | of the processor |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        began = time.perf_counter()
        with ForkServer() as server:
            while not any(event["event"] == "ready" for event in server.events(1.0)):
                pass
            loaded = time.perf_counter() - began
            (process,) = children(os.getpid())
            print(f"| imports, once a run | {loaded:.2f} | {processor_seconds(process):.2f} |")
            number = 0
            for name in ALGORITHMS:
                jobs = plan(
                    short,
                    algorithms=[name],
                    datasets=[DATASET],
                    seeds=range(rounds),
                    settings={"steps": 2},
                )
                taken = []
                for job in jobs:
                    number += 1
                    taken.append(first_update(server, number, job, store))
                wall, used = (statistics.median(times) for times in zip(*taken, strict=True))
                print(f"| {name}, median of {rounds} | {wall:.2f} | {used:.2f} |", flush=True)


def share(place: str) -> None:
    """Prints what a store's finished runs spent their time on."""
    spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for result in Store(place).load()[0]:
        if result.status != "finished":
            continue
        last = [e for e in result.evaluations if e.step == result.total_steps]
        others = sum(e.seconds for e in last if e.act != result.act)
        times = result.times
        row = (times.training, times.evaluation - others, others, times.setup)
        for name in (result.cell.algorithm, result.cell.dataset, "all"):
            spent[name] = [a + b for a, b in zip(spent[name], row, strict=True)]
    print("| algorithm or dataset | hours | training | evaluation | other acts | set-up |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, row in sorted(
        spent.items(), key=lambda item: (item[0] == "all", "/" in item[0], item[0])
    ):
        total = sum(row)
        print(
            f"| {name} | {total / 3600:.2f} | " + " | ".join(f"{s / total:.1%}" for s in row), "|"
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start").add_argument("--rounds", type=int, default=5)
    commands.add_parser("share").add_argument("store")
    options = parser.parse_args()
    if options.command == "start":
        start(options.rounds)
    else:
        share(options.store)


if __name__ == "__main__":
    main()
