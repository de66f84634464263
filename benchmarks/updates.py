"""Updates per second of each algorithm, as ratios within one run.

At the shape of D4RL's hopper (11 observations, 3 actions, batches of 256, the paper's networks)
every algorithm is timed, on one thread unless `--threads` says otherwise, beside

- its own matrix products alone, each at the faster of MKL's and oneDNN's rate on this machine;
- d3rlpy's algorithm of the same name, where `--d3rlpy PYTHON` names an interpreter that has it;
- the official Diffusion-QL, where `--official FOLDER` names a clone of its repository.

All of them take turns (A B C A B C ...), so that a drift of the machine's speed cancels; a row
shows medians over the rounds. On one thread the processor's time counts, in which other programs
of the machine do not show; on several it is the wall's, and the machine should be idle. The GFLOP
of both updates tell whether a peer is given the same work::

    python benchmarks/updates.py --d3rlpy ~/peer/bin/python --official ~/Diffusion-Policies...
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import peers
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import zoo_core

HEADER = (
    "algorithm",
    "threads",
    "updates/s",
    "ms",
    "its products' ms",
    "times its products",
    "GFLOP",
    "d3rlpy's",
    "x d3rlpy",
    "official's",
    "x official",
)


@dataclass(frozen=True)
class Case:
    """A row of the table: an algorithm, or one of its stages."""

    algorithm: str
    settings: tuple[str, ...] = ()
    """What is set to be comparable, beside the number of steps."""
    stage: str | None = None
    """The timed stage; none for the first."""
    d3rlpy: str | None = None
    """d3rlpy's algorithm that does the same; `peers.py` has its settings."""
    rows: int = 50_000
    """Transitions of the data; few where a stage first draws actions for each."""

    @property
    def name(self) -> str:
        """What the row is called."""
        return self.algorithm if self.stage is None else f"{self.algorithm} ({self.stage})"


# Stages that are not timed last one step. Batches that are larger in the paper are made comparable.
SHORT_CLONING = ("behaviour_share=1e-6",)
CASES = (
    Case("bc"),
    Case("bc_deterministic", d3rlpy="BC"),
    Case("diffusion_bc"),
    Case("sac_off", d3rlpy="SAC"),
    # Past the warm start, whose policy loss is another.
    Case("cql", ("policy_eval_start=0",), d3rlpy="CQL"),
    Case("td3_bc", d3rlpy="TD3PlusBC"),
    Case("iql", d3rlpy="IQL"),
    Case("bcq", ("batch_size=256",), d3rlpy="BCQ"),
    Case("sfbc", ("batch_size=256",)),
    Case("sfbc", ("batch_size=256", *SHORT_CLONING), "round_1"),
    Case("diffusion_ql"),
    Case("qgpo", ("behaviour_batch_size=256",)),
    # Fewer solver steps, which draw the prepared actions and are not timed.
    Case("qgpo", ("sampler.steps=2", "critic_share=0.99", *SHORT_CLONING), "train", rows=1_000),
    Case("edp"),
    Case("edp_crr"),
    Case("edp_iql"),
    Case("idql"),
)


def cases(names: list[str]) -> list[Case]:
    """The rows of the named algorithms, or of all that are installed."""
    known = zoo_core.installed().algorithms
    names = names or [n for n, entry in known.items() if entry.spec.fit is None]
    listed = [case for case in CASES if case.algorithm in names]
    return listed + [Case(n) for n in names if n not in {case.algorithm for case in CASES}]


def hopper_like(rows: int) -> zoo_core.OfflineData:
    """Random data of hopper's shape, in 50 episodes."""
    generator = torch.Generator().manual_seed(0)
    ends = torch.zeros(rows, dtype=torch.bool)
    return zoo_core.OfflineData(
        observations=torch.randn(rows + 50, peers.OBSERVATIONS, generator=generator),
        actions=torch.rand(rows, peers.ACTIONS, generator=generator) * 2 - 1,
        rewards=torch.randn(rows, generator=generator),
        terminations=ends,
        truncations=ends,
        lengths=torch.full((50,), rows // 50),
    )


class Ours:
    """A trainer past the first steps of the timed stage, when every average and delayed update is
    under way."""

    def __init__(self, case: Case) -> None:
        recipe = zoo_core.resolve(case.algorithm, ["steps=1000000", *case.settings])
        self.trainer = zoo_core.Trainer(recipe, hopper_like(case.rows))
        before = 0
        for stage in recipe.stages:
            if case.stage in (None, stage.name):
                break
            before += stage.steps
        self.trainer.run(until=before + 20)

    def seconds(self, steps: int) -> float:
        """The time of that many updates."""
        began = peers.clock()
        self.trainer.run(until=self.trainer.step + steps)
        return peers.clock() - began


class Peer:
    """Another library in a process of its own, which waits for its turns.

    Attributes:
        gflop: Of the matrix products of one of its updates.
    """

    def __init__(self, python: str, *arguments: str, threads: int) -> None:
        self.process = subprocess.Popen(
            [python, peers.__file__, *arguments, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        assert self.process.stdout is not None
        ready, _, gflop = self.process.stdout.readline().partition(" ")
        if ready != "ready":
            raise SystemExit(f"the peer {arguments} did not start; see its message above")
        self.gflop = float(gflop)

    def seconds(self, steps: int) -> float:
        """The time of that many updates."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(steps, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()


class Counting(TorchDispatchMode):
    """Counts the matrix products of what runs inside, by shape (m, k, n)."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: Counter[tuple[int, int, int]] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        if name in {"mm", "addmm"}:
            a, b = args[-2:]
            self.shapes[a.shape[0], a.shape[1], b.shape[1]] += 1
        elif name == "_linear_pointwise":
            x, weight = args[:2]
            self.shapes[x.numel() // x.shape[-1], x.shape[-1], weight.shape[0]] += 1
        elif name in {"bmm", "baddbmm"}:
            a, b = args[-2:]
            self.shapes[a.shape[1], a.shape[2], b.shape[2]] += a.shape[0]
        return func(*args, **(kwargs or {}))


class Products:
    """The matrix products of an algorithm's updates and nothing else.

    Attributes:
        gflop: Of one update.
    """

    def __init__(self, ours: Ours, counted: int = 10) -> None:
        with Counting() as counting:
            ours.seconds(counted)
        self.calls = {shape: n / counted for shape, n in counting.shapes.items()}
        self.product = {shape: faster_product(shape) for shape in self.calls}
        self.gflop = sum(2e-9 * n * m * k * j for (m, k, j), n in self.calls.items())

    def seconds(self, steps: int) -> float:
        """The time of the products of that many updates."""
        total = 0.0
        for shape, calls in self.calls.items():
            repeats = max(1, round(calls * steps))
            total += _timed(self.product[shape], repeats) * calls * steps / repeats
        return total


def faster_product(shape: tuple[int, int, int]) -> Callable[[], object]:
    """A product (m, k) x (k, n), by MKL or by oneDNN, whichever is the faster here."""
    m, k, n = shape
    a, b, weight = torch.randn(m, k), torch.randn(k, n), torch.randn(n, k)
    candidates: list[Callable[[], object]] = [
        lambda: torch.mm(a, b),
        lambda: torch.nn.functional.linear(a, weight),
    ]
    onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if onednn is not None:
        candidates.append(lambda: onednn(a, weight, None, "none", [], ""))
    repeats = 1 + int(1e7 / (m * k * n + 1e5))
    return min(candidates, key=lambda call: min(_timed(call, repeats) for _ in range(3)))


def _timed(call: Callable[[], object], repeats: int) -> float:
    began = peers.clock()
    with torch.no_grad():
        for _ in range(repeats):
            call()
    return peers.clock() - began


def compare(case: Case, options: argparse.Namespace, threads: int) -> str:
    """One row of the table."""
    torch.set_num_threads(threads)
    ours = Ours(case)
    products = Products(ours)
    # An even number, since some updates fire in every second step.
    steps = 2 * max(2, int(options.seconds / (ours.seconds(4) / 2)))
    others: dict[str, Peer] = {}
    if options.d3rlpy and case.d3rlpy:
        others["d3rlpy"] = Peer(options.d3rlpy, "d3rlpy", case.d3rlpy, threads=threads)
    if options.official and case.algorithm in {"diffusion_ql", "diffusion_bc"}:
        others["official"] = Peer(
            sys.executable, "diffusion", case.algorithm, options.official, threads=threads
        )
    taken: dict[str, list[float]] = {who: [] for who in ("ours", "products", *others)}
    for _ in range(options.rounds):
        for who, turn in {"ours": ours, "products": products, **others}.items():
            taken[who].append(turn.seconds(steps) / steps)
    for other in others.values():
        other.close()

    def over(a: str, b: str) -> str:
        ratios = [x / y for x, y in zip(taken[a], taken[b], strict=True)]
        return f"{statistics.median(ratios):.2f}"

    seconds = statistics.median(taken["ours"])
    cells = [
        case.name,
        str(threads),
        f"{1 / seconds:.0f}",
        f"{1e3 * seconds:.1f}",
        f"{1e3 * statistics.median(taken['products']):.1f}",
        over("ours", "products"),
        f"{products.gflop:.2f}",
    ]
    for label in ("d3rlpy", "official"):
        there = label in others
        cells += [f"{others[label].gflop:.2f}", over(label, "ours")] if there else ["-", "-"]
    return _row(cells)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("algorithms", nargs="*", help="none for all of the installed ones")
    parser.add_argument("--d3rlpy", metavar="PYTHON", help="an interpreter that has d3rlpy")
    parser.add_argument("--official", metavar="FOLDER", help="a clone of the official Diffusion-QL")
    parser.add_argument("--threads", type=int, nargs="*", default=[1])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn of ours")
    options = parser.parse_args()
    print(_row(list(HEADER)))
    print(_row(["---"] * len(HEADER)))
    for case in cases(options.algorithms):
        for threads in options.threads:
            print(compare(case, options, threads), flush=True)


if __name__ == "__main__":
    main()
