"""One run outside of any track: `zoo train` and `zoo_leaderboard.train`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from zoo_core import Agent
from zoo_core import registry as registry_module
from zoo_core.errors import ZooError
from zoo_core.registry import Registry
from zoo_core.training import usable_device
from zoo_leaderboard.planning import Job, single
from zoo_leaderboard.result import Protocol, Result
from zoo_leaderboard.running.execution import execute
from zoo_leaderboard.running.run import Place, Report
from zoo_leaderboard.running.tracking import chosen
from zoo_leaderboard.store import Damaged, default_root, is_url, read, write_atomically
from zoo_leaderboard.store.lock import locked
from zoo_leaderboard.store.names import LONGEST_FOLDER, short

RECORD = "result.json"
AGENT = "agent.pt"


class Trained(NamedTuple):
    """A finished run."""

    folder: Path
    """Holds `result.json` and `agent.pt`."""
    result: Result
    already: bool
    """Whether it had been finished before, by the same code, data and settings."""

    @property
    def agent(self) -> Agent:
        """The policy at the last step; an external learner leaves none.

        Raises:
            BadCheckpoint: its file is missing or damaged.
        """
        return Agent.load(self.folder / AGENT)


def default_folder(job: Job) -> Path:
    """Default folder of a run: a separate one below the store's `train`, or below that of `runs` if
    the store is at a URL."""
    root = Path("runs" if is_url(default_root()) else default_root())
    dataset = job.cell.dataset.replace("/", ".")
    end = f"-seed{job.cell.seed}-{job.key[:8]}"
    name = short(f"{job.cell.algorithm}-{dataset}", LONGEST_FOLDER - len(end))
    return root / "train" / f"{name}{end}"


def train(
    algorithm: str,
    dataset: str,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | list[str] | tuple[str, ...] = (),
    tuned: bool = False,
    device: str = "cpu",
    out: Path | str | None = None,
    episodes: int = 10,
    evaluations: int = 10,
    threads: int | None = None,
    trackers: Sequence[str] = (),
    report: Report = lambda progress: None,
    registry: Registry | None = None,
) -> Trained:
    """Trains and evaluates one algorithm on one dataset, in this process.

    An interrupted run resumes from its checkpoint when the call is repeated; a finished one is
    returned unchanged.

    Args:
        algorithm: A registered algorithm.
        dataset: An id or an expression.
        seed: Seed of the training.
        settings: Values by path, or assignments such as `critic.hidden=512`.
        tuned: Whether the paper's values for the dataset apply.
        device: `cpu` or `cuda`.
        out: The run's folder. Default: a separate one below the store.
        episodes: Episodes per evaluation.
        evaluations: Evenly spaced evaluations after the one before training.
        threads: Threads of torch. Default: as many as torch would use.
        trackers: Names of the trackers that log its curves, such as `tensorboard`.
        report: Callback that receives the progress.
        registry: Registered names. Default: those of the installed plugins.

    Raises:
        ZooError: unknown names, bad values, unavailable data, a folder that cannot be
            written, holds another run, or is in use by another process.
        Diverged: the training is no longer finite.
    """
    usable_device(device)
    tracked = chosen(trackers, registry or registry_module.installed())
    job = single(
        algorithm,
        dataset,
        seed=seed,
        settings=settings,
        tuned=tuned,
        protocol=Protocol(episodes=episodes, evaluations=evaluations),
        device=device,
        threads=threads or torch.get_num_threads(),
        registry=registry,
    )
    folder = Path(out) if out is not None else default_folder(job)
    before = _before(folder, job)
    if before is not None:
        return Trained(folder, before, True)
    check_folder(folder)
    work = folder / "unfinished"
    with locked(work) as alone:
        if not alone:
            raise ZooError(
                f"another process trains in {folder}; wait for it or choose another folder "
                "with --out"
            )
        # Another process may have finished it since.
        result = _before(folder, job)
        already = result is not None
        if result is None:
            place = Place(folder / AGENT, work, folder / "trackers")
            job = job.model_copy(update={"trackers": tracked})
            result = execute(job, place, report, registry=registry)
            write_atomically(folder / RECORD, result.model_dump_json(indent=1) + "\n")
        _clear(work)
    return Trained(folder, result, already)


def _before(folder: Path, job: Job) -> Result | None:
    """The finished record of the same run in the folder."""
    path = folder / RECORD
    if not path.exists():
        return None
    found = read(path)
    if isinstance(found, Damaged):
        raise ZooError(f"{found}; remove it or choose another folder with --out")
    if found.key != job.key:
        changed = "; ".join(found.ingredients.differences(job.ingredients)[:3])
        raise ZooError(f"{folder} holds another run ({changed}); choose another folder with --out")
    return found


def check_folder(folder: Path) -> None:
    """Makes a folder and tries it, before any work is spent.

    Raises:
        ZooError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZooError(f"cannot write to {folder}: {error.strerror or error}") from None
    if not os.access(folder, os.W_OK):
        raise ZooError(f"cannot write to {folder}: permission denied")


def _clear(work: Path) -> None:
    import shutil

    shutil.rmtree(work, ignore_errors=True)
