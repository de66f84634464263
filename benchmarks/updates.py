"""Updates per second of each algorithm, as ratios within one run.

At the shape of D4RL's hopper (11 observations, 3 actions, batches of 256, the paper's networks)
every algorithm is timed, on one thread and on all, beside

- its own matrix products alone, each at the faster of MKL's and oneDNN's rate on this machine;
- d3rlpy's algorithm of the same name, where `--d3rlpy PYTHON` names an interpreter that has it;
- the official Diffusion-QL, where `--official FOLDER` names a clone of its repository.

Peers take turns with ours (A B A B ...), so that a drift of the machine's speed cancels; a row
shows the median over the rounds. Run it on an otherwise idle machine::

    python benchmarks/updates.py --d3rlpy ~/peer/bin/python --official ~/Diffusion-Policies...
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import zoo_core

PEERS = Path(__file__).parent / "peers.py"
OBSERVATIONS, ACTIONS, BATCH, ROWS = 11, 3, 256, 50_000
D3RLPY = {
    "bc_deterministic": "BC",
    "bcq": "BCQ",
    "cql": "CQL",
    "iql": "IQL",
    "sac_off": "SAC",
    "td3_bc": "TD3PlusBC",
}
SETTINGS = {
    # Past the warm start, whose policy loss is another; three layers as the paper, d3rlpy's too.
    "cql": ["policy_eval_start=0"],
    # d3rlpy's critics are of two layers of 256, where BCQ's own are of 400 and 300.
    "bcq": ["batch_size=256", "critic.hidden=256", "sampler.perturbation_hidden=256"],
    # Of stages with prepared columns the first is timed, cloning; its batch is made comparable.
    "qgpo": ["behaviour_batch_size=256"],
    "sfbc": ["batch_size=256"],
}
"""What is set of an algorithm to be comparable."""


def hopper_like() -> zoo_core.OfflineData:
    """Random data of hopper's shape."""
    generator = torch.Generator().manual_seed(0)
    ends = torch.zeros(ROWS, dtype=torch.bool)
    return zoo_core.OfflineData(
        observations=torch.randn(ROWS + 50, OBSERVATIONS, generator=generator),
        actions=torch.rand(ROWS, ACTIONS, generator=generator) * 2 - 1,
        rewards=torch.randn(ROWS, generator=generator),
        terminations=ends,
        truncations=ends,
        lengths=torch.full((50,), ROWS // 50),
    )


class Ours:
    """A trainer past its first steps, when every average and delayed update is under way."""

    def __init__(self, name: str, data: zoo_core.OfflineData) -> None:
        recipe = zoo_core.resolve(name, ["steps=1000000", *SETTINGS.get(name, [])])
        self.trainer = zoo_core.Trainer(recipe, data).run(until=20)

    def seconds(self, steps: int) -> float:
        """The time of that many updates."""
        began = time.perf_counter()
        self.trainer.run(until=self.trainer.step + steps)
        return time.perf_counter() - began


class Peer:
    """Another library in a process of its own, which waits for its turns."""

    def __init__(self, python: str, *arguments: str, threads: int) -> None:
        self.process = subprocess.Popen(
            [python, str(PEERS), *arguments, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"the peer {arguments} did not start; see its message above")

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


class Products(TorchDispatchMode):
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


def product_seconds(shape: tuple[int, int, int]) -> float:
    """One product (m, k) x (k, n) at the faster of MKL's and oneDNN's rate."""
    m, k, n = shape
    a, b, weight = torch.randn(m, k), torch.randn(k, n), torch.randn(n, k)
    candidates = [lambda: torch.mm(a, b), lambda: torch.nn.functional.linear(a, weight)]
    onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if onednn is not None:
        candidates.append(lambda: onednn(a, weight, None, "none", [], ""))
    times = []
    with torch.no_grad():
        for candidate in candidates:
            repeats = 1 + int(2e7 / (m * k * n + 1e5))
            rounds = []
            for _ in range(5):
                began = time.perf_counter()
                for _ in range(repeats):
                    candidate()
                rounds.append((time.perf_counter() - began) / repeats)
            times.append(min(rounds))
    return min(times)


def products_of(ours: Ours, steps: int = 10) -> tuple[float, float]:
    """Seconds and GFLOP of the products of one update, averaged over some updates."""
    with Products() as products:
        ours.seconds(steps)
    seconds = sum(n * product_seconds(shape) for shape, n in products.shapes.items())
    flop = sum(2 * n * m * k * columns for (m, k, columns), n in products.shapes.items())
    return seconds / steps, flop / steps / 1e9


def compare(
    name: str, data: zoo_core.OfflineData, options: argparse.Namespace, threads: int
) -> str:
    """One row of the table."""
    torch.set_num_threads(threads)
    ours = Ours(name, data)
    pilot = ours.seconds(10) / 10
    steps = max(10, int(options.seconds / pilot))
    peers: dict[str, Peer] = {}
    if options.d3rlpy and name in D3RLPY:
        peers["d3rlpy"] = Peer(options.d3rlpy, "d3rlpy", D3RLPY[name], threads=threads)
    if options.official and name in {"diffusion_ql", "diffusion_bc"}:
        peers["official"] = Peer(
            sys.executable, "diffusion", name, options.official, threads=threads
        )
    rates: list[float] = []
    ratios: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(options.rounds):
        mine = ours.seconds(steps)
        rates.append(steps / mine)
        for label, peer in peers.items():
            ratios[label].append(peer.seconds(steps) / mine)
    for peer in peers.values():
        peer.close()
    seconds, gflop = products_of(ours)
    rate = statistics.median(rates)
    cells = [
        name,
        str(threads),
        f"{rate:.0f}",
        f"{gflop:.2f}",
        f"{1 / rate / seconds:.2f}",
        *(
            f"{statistics.median(ratios[label]):.2f}" if label in ratios else "-"
            for label in ("d3rlpy", "official")
        ),
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("algorithms", nargs="*", help="none for all of the installed ones")
    parser.add_argument("--d3rlpy", metavar="PYTHON", help="an interpreter that has d3rlpy")
    parser.add_argument("--official", metavar="FOLDER", help="a clone of the official Diffusion-QL")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, os.cpu_count() or 1])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    options = parser.parse_args()
    known = zoo_core.installed().algorithms
    names = options.algorithms or [n for n, entry in known.items() if entry.spec.fit is None]
    data = hopper_like()
    print(
        "| algorithm | threads | updates/s | GFLOP | times its products | x d3rlpy | x official |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        for threads in dict.fromkeys(options.threads):
            print(compare(name, data, options, threads), flush=True)


if __name__ == "__main__":
    main()
