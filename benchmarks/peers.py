"""A process that times another library's updates: reads a number of steps, writes seconds.

Its first line is `ready` and the GFLOP of the matrix products of one update.

`peers.py d3rlpy TD3PlusBC THREADS`, or `peers.py diffusion diffusion_ql CLONE THREADS`.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

OBSERVATIONS, ACTIONS, BATCH = 11, 3, 256


def equal_settings(name: str) -> dict[str, Any]:
    """What is set of d3rlpy's algorithm to do the work of ours; the rest of its defaults does."""
    import d3rlpy

    def encoder(*widths: int) -> Any:
        return d3rlpy.models.VectorEncoderFactory(hidden_units=list(widths), activation="relu")

    if name == "TD3PlusBC":
        return {"observation_scaler": d3rlpy.preprocessing.StandardObservationScaler()}
    if name == "CQL":
        # Without a learning rate the multiplier stays 1, and the weight is fixed as ours.
        fixed = {"alpha_learning_rate": 0.0, "initial_alpha": 1.0, "conservative_weight": 5.0}
        networks = {
            f"{part}_encoder_factory": encoder(256, 256, 256) for part in ("actor", "critic")
        }
        return {**fixed, **networks, "n_action_samples": 10}
    if name == "BCQ":
        networks = {f"{part}_encoder_factory": encoder(400, 300) for part in ("actor", "critic")}
        return {**networks, "imitator_encoder_factory": encoder(750, 750), "n_action_samples": 10}
    return {}


def d3rlpy_updates(name: str) -> Callable[[int], None]:
    """d3rlpy's algorithm, sampling from a replay buffer as its `fit` does."""
    import d3rlpy

    rng = np.random.default_rng(0)
    episodes = [
        d3rlpy.dataset.Episode(
            rng.standard_normal((1000, OBSERVATIONS)).astype(np.float32),
            rng.uniform(-1, 1, (1000, ACTIONS)).astype(np.float32),
            rng.standard_normal((1000, 1)).astype(np.float32),
            True,
        )
        for _ in range(50)
    ]
    buffer = d3rlpy.dataset.create_infinite_replay_buffer(episodes)
    kind = getattr(d3rlpy.algos, f"{name}Config")
    algorithm = kind(batch_size=BATCH, **equal_settings(name)).create("cpu:0")
    if algorithm.observation_scaler is not None:
        algorithm.observation_scaler.fit_with_transition_picker(
            episodes, d3rlpy.dataset.BasicTransitionPicker()
        )
    algorithm.build_with_dataset(buffer)

    def run(steps: int) -> None:
        for _ in range(steps):
            algorithm.update(buffer.sample_transition_batch(BATCH))

    return run


class Replay:
    """What the official code's `train` samples from."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        rows = 50_000
        self.columns = (
            torch.randn(rows, OBSERVATIONS, generator=generator),
            torch.rand(rows, ACTIONS, generator=generator) * 2 - 1,
            torch.randn(rows, OBSERVATIONS, generator=generator),
            torch.randn(rows, 1, generator=generator),
            torch.ones(rows, 1),
        )

    def sample(self, size: int) -> tuple[torch.Tensor, ...]:
        """A batch."""
        index = torch.randint(0, len(self.columns[0]), (size,))
        return tuple(column[index] for column in self.columns)


def diffusion_updates(name: str, clone: str) -> Callable[[int], None]:
    """The official Diffusion-QL or Diffusion-BC, by its own `train`."""
    sys.path.insert(0, clone)
    options = {"max_action": 1.0, "device": "cpu", "discount": 0.99, "tau": 0.005}
    options |= {"beta_schedule": "vp", "n_timesteps": 5}
    if name == "diffusion_ql":
        from agents.ql_diffusion import Diffusion_QL

        agent = Diffusion_QL(OBSERVATIONS, ACTIONS, **options, eta=1.0, grad_norm=9.0)
    else:
        from agents.bc_diffusion import Diffusion_BC

        agent = Diffusion_BC(OBSERVATIONS, ACTIONS, **options)
    replay = Replay()
    return lambda steps: agent.train(replay, steps, BATCH)


def clock() -> float:
    """Seconds: the processor's of this process on one thread, the wall's on several."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def main() -> None:
    # What the peer prints while it is imported must not reach the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    kind, *arguments, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    updates = (d3rlpy_updates if kind == "d3rlpy" else diffusion_updates)(*arguments)
    updates(5)
    with FlopCounterMode(display=False) as counter:
        updates(10)
    print("ready", counter.get_total_flops() / 10 / 1e9, file=answers, flush=True)
    for line in sys.stdin:
        began = clock()
        updates(int(line))
        print(clock() - began, file=answers, flush=True)


if __name__ == "__main__":
    main()
