"""Whether several seeds as one stacked model (`engine="vmap"`) train faster than each alone.

    python benchmarks/groups.py                          the demo track's networks, 64 wide
    python benchmarks/groups.py --group 5 bc td3_bc
    python benchmarks/groups.py --device cuda

Both take turns on the demo track's settings of one dataset; a row shows the best round of each, per
seed and update. `gain` is how many times sooner a group is done than its seeds one after the other.
On a CPU the processor's time counts, in which other programs do not show.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from zoo_core import Trainer
from zoo_leaderboard.planning import Planner
from zoo_leaderboard.result import Cell
from zoo_leaderboard.track import load_track

WARM, STEPS = 10, 12
"""Updates before the first round, and of each round."""


def seconds(trainer: Trainer) -> float:
    """The time of a round."""
    cuda = trainer.device.type == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    began = clock()
    trainer.run(until=trainer.step + STEPS)
    if cuda:
        torch.cuda.synchronize()
    return clock() - began


def compare(planner: Planner, cell: Cell, group: int, rounds: int, device: str) -> str:
    """A row of the table."""
    recipe, _ = planner.resolved(cell)
    data = planner.dataset(cell.dataset).data
    alone = Trainer(recipe, data, (0,), device=device)
    stacked = Trainer(recipe, data, tuple(range(group)), device=device, engine="vmap")
    for trainer in (alone, stacked):
        trainer.run(until=WARM)
    taken = [(seconds(alone), seconds(stacked) / group) for _ in range(rounds)]
    one, each = (1e3 * min(times) / STEPS for times in zip(*taken, strict=True))
    return f"| {cell.algorithm} | {one:.2f} | {each:.2f} | {one / each:.2f} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("algorithms", nargs="*", help="none for every installed one")
    parser.add_argument("--dataset", default="zoo/pendulum/mixed-v0")
    parser.add_argument("--group", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    planner = Planner(load_track("demo"))
    algorithms = planner.registry.algorithms
    trained = sorted(name for name, entry in algorithms.items() if entry.spec.fit is None)
    print(f"| algorithm | alone, ms | in a group of {options.group}, ms | gain |")
    print("| --- | --- | --- | --- |")
    for name in options.algorithms or trained:
        cell = Cell(algorithm=name, dataset=options.dataset, seed=0)
        row = compare(planner, cell, options.group, options.rounds, options.device)
        print(row, flush=True)


if __name__ == "__main__":
    main()
