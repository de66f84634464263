"""A saved policy, evaluated again: `zoo evaluate` and `zoo_leaderboard.evaluate`."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from zoo_core import Agent, GeneratorNoise
from zoo_core.errors import ZooError
from zoo_core.noise import stream_seed
from zoo_core.registry import Registry
from zoo_core.training import usable_device
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import Dataset
from zoo_leaderboard.policies.training import AGENT, RECORD
from zoo_leaderboard.result import Measured, Protocol, ReferenceScores, Result
from zoo_leaderboard.running.evaluation import Evaluator
from zoo_leaderboard.running.run import reference_of
from zoo_leaderboard.store import Damaged, agent_beside, is_url, open_files, read


class Evaluated(NamedTuple):
    """Evaluation of a policy."""

    algorithm: str
    dataset: str
    act: str
    returns: tuple[float, ...]
    """Every episode's undiscounted return."""
    lengths: tuple[int, ...]
    """Every episode's steps."""
    reference: ReferenceScores | None
    metrics: tuple[Measured, ...] = ()
    """The training's last metrics by stage, where there is a record that has them."""
    note: str = ""
    """A line on what is unusual about the evaluation; else empty."""

    @property
    def mean_return(self) -> float:
        """The mean over episodes."""
        return statistics.fmean(self.returns)

    @property
    def score(self) -> float | None:
        """The normalised score; none without reference scores."""
        return self.reference.normalized(self.mean_return) if self.reference else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean return over episodes; None if there is a single episode."""
        n = len(self.returns)
        return statistics.stdev(self.returns) / n**0.5 if n > 1 else None


def evaluate(
    path: Path | str,
    *,
    episodes: int = 20,
    dataset: str | None = None,
    act: str | None = None,
    seed: int | None = None,
    device: str = "cpu",
    registry: Registry | None = None,
) -> Evaluated:
    """Evaluates a run's policy or a checkpoint in its environment.

    Args:
        path: A run's folder, its record (`.json`), or a policy's or trainer's file (`.pt`); of a
            store at a URL, the URL of a record or policy.
        episodes: One in each of that many copies of the environment.
        dataset: Dataset that provides environment and references. Default: the run's own.
        act: A named way of acting. Default: the headline act.
        seed: Seed of the environments. Default: that of the run's protocol.
        device: Device of the policy.
        registry: Registered names. Default: those of the installed plugins.

    Raises:
        ZooError: nothing readable at `path`, or a dataset that does not fit the policy.
    """
    place = usable_device(device)
    agent, found, record = load_policy(path, dataset, registry)
    chosen = agent.recipe.act(act).name
    agent.to(place)
    usual = record.ingredients.protocol if record else Protocol()
    start = usual.seed if seed is None else seed
    protocol = usual.model_copy(update={"episodes": episodes, "seed": start})
    generator = torch.Generator(place)
    generator.manual_seed(stream_seed("zoo evaluate", start, chosen))
    noise = GeneratorNoise(generator)
    with Evaluator(found.make_env, protocol, place) as evaluator:
        played = evaluator(lambda observations: agent.act(observations, noise, chosen))
    reference = reference_of(found)
    return Evaluated(
        agent.recipe.name,
        found.name,
        chosen,
        played.returns,
        played.lengths,
        reference,
        record.last_metrics if record else (),
        played.note,
    )


class Policy(NamedTuple):
    """A saved policy and what it is for."""

    agent: Agent
    """Agent on the CPU, ready to act."""
    dataset: Dataset
    """Dataset whose environment and action bounds it acts in."""
    record: Result | None
    """The run's, where there is one."""


def load_policy(
    path: Path | str, dataset: str | None = None, registry: Registry | None = None
) -> Policy:
    """Reads what `evaluate` takes: a run's folder, its record, or a file of an agent or a trainer.

    Args:
        path: A path, or the URL of a record or policy in a store.
        dataset: Dataset whose environment to use. Default: the run's own.
        registry: Registered names. Default: those of the installed plugins.

    Raises:
        ZooError: nothing readable at `path`, or a dataset that does not fit the policy.
    """
    with _at_hand(path) as here:
        file, record = locate(here)
        agent = Agent.load(file, registry=registry)
    name = dataset or (record.cell.dataset if record else None)
    if name is None:
        raise ZooError(f"{file} does not say which environment it is for; name its --dataset")
    found = datasets.find(name)
    if found.space != agent.space:
        raise ZooError(
            f"the policy takes {agent.space.observation_dim} observations and gives "
            f"{agent.space.action_dim} actions; '{name}' has {found.space.observation_dim} and "
            f"{found.space.action_dim}"
        )
    return Policy(agent.eval(), found, record)


@contextlib.contextmanager
def _at_hand(place: Path | str) -> Iterator[Path]:
    """The path of a run; a URL's record and policy are fetched for as long as the block lasts.

    Raises:
        ZooError: there is no such file at the URL, or it cannot be read.
    """
    if not is_url(place):
        yield Path(place)
        return
    parent, _, name = str(place).rpartition("/")
    files, record = open_files(parent), name.removesuffix(".agent.pt").removesuffix(".json")
    if not files.exists(name):
        raise ZooError(f"no run or checkpoint at {place}")
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        for wanted in {name, f"{record}.json", f"{record}.agent.pt"}:
            with contextlib.suppress(FileNotFoundError), files.local(wanted) as found:
                shutil.copy(found, Path(folder) / wanted)
        yield Path(folder) / name


def locate(path: Path) -> tuple[Path, Result | None]:
    """The policy's file and the run's record, where there is one.

    Raises:
        ZooError: there is neither a policy nor a record with one.
    """
    if path.is_dir():
        path = _in_folder(path)
    if not path.exists():
        raise ZooError(f"no run or checkpoint at {path}")
    if path.suffix == ".json":
        return _policy_of(path)
    records = [path.with_name(RECORD)] if path.name == AGENT else []
    if path.name.endswith(".agent.pt"):
        records.append(path.with_name(path.name.removesuffix(".agent.pt") + ".json"))
    for record in records:
        found = read(record) if record.exists() else None
        if isinstance(found, Result):
            return path, found
    return path, None


def _in_folder(folder: Path) -> Path:
    for name in (RECORD, AGENT, "checkpoint.pt", "unfinished/checkpoint.pt"):
        if (folder / name).exists():
            return folder / name
    raise ZooError(f"{folder} holds no run: neither {RECORD} nor a checkpoint")


def _policy_of(path: Path) -> tuple[Path, Result]:
    found = read(path)
    if isinstance(found, Damaged):
        raise ZooError(str(found))
    if found.failure is not None:
        raise ZooError(f"the run {path} failed and left no policy: {found.failure.reason}")
    for file in (agent_beside(path), path.with_name(AGENT)):
        if file.exists():
            return file, found
    what = "an external learner leaves none" if found.external else "its file is missing"
    raise ZooError(f"the run {path} has no policy to evaluate: {what}")
