"""A policy as one file that needs no zoo: `zoo export` and `zoo_leaderboard.export`.

The graph takes raw observations [B, O] and gives actions [B, A] in the environment's own bounds:
the observation normaliser, the clipping and the action scaling are inside. What a random act draws
is an input too (`zoo_leaderboard.policies.rows`), so that the same numbers give the same actions
everywhere.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo_core import Agent
from zoo_core.errors import ZooError
from zoo_core.protocols import HasScale
from zoo_core.registry import Registry
from zoo_core.specs import Act
from zoo_leaderboard.datasets import ActionScaling, Dataset
from zoo_leaderboard.policies.rows import Draw, Kind, Recorder, RowNoise, draws_of, width
from zoo_leaderboard.policies.scoring import load_policy
from zoo_leaderboard.running.versions import versions

Format = Literal["onnx", "torchscript"]
METADATA = "zoo.json"
"""The extra file of a TorchScript archive that holds its metadata."""
BATCHES = (1, 7, 256)
"""The batch sizes that a file is checked with."""
TOLERANCE = 1e-4
"""Maximum difference from the original, as a share of half of an action's range."""
NUDGES = 8
"""Number of perturbed observations that test whether the original itself is undecided."""

Inputs = dict[str, Tensor]
"""`observations`, then `normals` and `uniforms` where the act draws."""


class Exported(NamedTuple):
    """A file that agrees with its policy."""

    path: Path
    metadata: Mapping[str, Any]
    """Metadata stored in the file."""
    difference: float
    """Maximum difference from the original over all checked actions, in their own scale."""
    checked: int
    """Random observations."""
    undecided: int
    """Those left out: there a change of 1e-5 in the observation moves the original as far."""


def export(
    path: Path | str,
    out: Path | str,
    format: Format,
    *,
    act: str | None = None,
    dataset: str | None = None,
    registry: Registry | None = None,
) -> Exported:
    """Writes a run's policy as an ONNX or TorchScript file, once it agrees with the original.

    Args:
        path: A run's folder, its record (`.json`), or a policy's or trainer's file (`.pt`).
        out: The file; it appears by rename after the check.
        format: `onnx` or `torchscript`.
        act: A named way of acting. Default: the headline act.
        dataset: Dataset whose action bounds to use. Default: the run's own.
        registry: Registered names. Default: those of the installed plugins.

    Raises:
        ZooError: nothing readable at `path`; an act that cannot be a graph; a missing package; a
            file that differs from the original, which is deleted.
    """
    needs(format)
    target = Path(out)
    if not target.parent.is_dir():
        raise ZooError(f"no folder {target.parent} to write {target.name} to")
    agent, found, _ = load_policy(path, dataset, registry)
    agent.float().requires_grad_(False)
    chosen = agent.recipe.act(act)
    refuse_guided(agent, chosen)
    draws = draws_of(agent, chosen.name)
    metadata = _metadata(agent, found, chosen.name, draws, registry)
    graph = _graph(Graph(agent, chosen.name, found.scaling, draws))
    with _beside(target) as fresh:
        _WRITERS[format](graph, fresh, metadata)
        checked = _check(_LOADERS[format](fresh), agent, chosen.name, found.scaling, draws)
        os.replace(fresh, target)
    return Exported(target, metadata, *checked)


def needs(format: Format) -> None:
    """Checks that the packages of a format are installed.

    Raises:
        ZooError: one is missing; the message names the pip install.
    """
    if format == "torchscript":
        return
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ZooError(
            f"--format onnx needs the package '{error.name}'; pip install 'zoo-leaderboard[onnx]'"
        ) from None


def refuse_guided(agent: Agent, act: Act) -> None:
    """Checks that the act takes no gradient.

    Raises:
        ZooError: its sampler is guided by the gradient of an energy.
    """
    sampler = agent.part(act.sampler)
    scale = act.scale if act.scale is not None else getattr(sampler, "scale", 0.0)
    if isinstance(sampler, HasScale) and scale != 0.0 and act.solver is None:
        raise ZooError(
            f"act '{act.name}' of '{agent.recipe.name}' cannot be exported: it follows the "
            "gradient of an energy while it acts, and the formats hold no gradients"
        )


class Graph(nn.Module):
    """Exported module: maps raw observations and noise to actions in the environment's bounds."""

    low: Tensor
    high: Tensor
    centre: Tensor
    reach: Tensor

    def __init__(
        self, agent: Agent, act: str, scaling: ActionScaling, draws: Sequence[Draw]
    ) -> None:
        super().__init__()
        self.agent, self.act, self.draws = agent, act, tuple(draws)
        low, high = float32_bounds(scaling)
        self.register_buffer("low", torch.from_numpy(low))
        self.register_buffer("high", torch.from_numpy(high))
        self.register_buffer("centre", torch.from_numpy(scaling.centre).float())
        self.register_buffer("reach", torch.from_numpy(scaling.half).float())

    def forward(
        self, observations: Tensor, normals: Tensor | None = None, uniforms: Tensor | None = None
    ) -> Tensor:
        """Actions [B, A] for observations [B, O], normals [B, K] and uniforms [B, L]."""
        given: dict[Kind, Tensor | None] = {"normals": normals, "uniforms": uniforms}
        rows = {kind: numbers for kind, numbers in given.items() if numbers is not None}
        unit = self.agent.act(observations, RowNoise(self.draws, rows), self.act)
        actions = self.centre + unit * self.reach
        actions = torch.minimum(torch.maximum(actions, self.low), self.high)
        # Rounding must not keep a saturated action off its bound.
        actions = torch.where(unit >= 1.0, self.high, actions)
        return torch.where(unit <= -1.0, self.low, actions)

    def example(self, batch: int) -> Inputs:
        """Zeros of the inputs' shapes."""
        found = {"observations": torch.zeros(batch, self.agent.space.observation_dim)}
        kinds: tuple[Kind, ...] = ("normals", "uniforms")
        for kind in kinds:
            if size := width(self.draws, kind):
                found[kind] = torch.full((batch, size), 0.5)
        return found


def float32_bounds(scaling: ActionScaling) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The smallest and the largest float32 within the bounds of each action.

    Raises:
        ZooError: float32 resolves the range of an action too coarsely for `TOLERANCE`.
    """
    size = np.maximum(np.abs(scaling.low), np.abs(scaling.high))
    coarse = np.finfo(np.float32).eps * size > TOLERANCE * scaling.half
    if coarse.any():
        first = int(coarse.argmax())
        raise ZooError(
            f"the policy cannot be exported: float32 is too coarse for action {first} between "
            f"{scaling.low[first]:.10g} and {scaling.high[first]:.10g}"
        )
    low, high = scaling.low.astype(np.float32), scaling.high.astype(np.float32)
    low = np.where(low < scaling.low, np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > scaling.high, np.nextafter(high, np.float32(-np.inf)), high)
    return low, high


def _graph(policy: Graph) -> torch.export.ExportedProgram:
    example = policy.example(5)
    dynamic = {name: {0: torch.export.Dim.DYNAMIC} for name in example}
    try:
        with _quiet():
            return torch.export.export(policy, (), example, dynamic_shapes=dynamic, strict=False)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZooError(
            f"act '{policy.act}' of '{policy.agent.recipe.name}' cannot become a graph for "
            f"batches of any size: {reason}"
        ) from error


def _metadata(
    agent: Agent,
    dataset: Dataset,
    act: str,
    draws: Sequence[Draw],
    registry: Registry | None,
) -> dict[str, Any]:
    normals, uniforms = width(draws, "normals"), width(draws, "uniforms")
    inputs = {"observations": f"[B, {agent.space.observation_dim}] raw, flattened by Gymnasium"}
    if normals:
        inputs["normals"] = f"[B, {normals}] standard normal"
    if uniforms:
        inputs["uniforms"] = f"[B, {uniforms}] uniform in [0, 1)"
    return {
        "algorithm": agent.recipe.name,
        "act": act,
        "dataset": dataset.name,
        "environment": dataset.environment.id if dataset.environment else None,
        "inputs": inputs,
        "actions": f"[B, {agent.space.action_dim}] in the environment's bounds",
        "action_low": dataset.scaling.low.tolist(),
        "action_high": dataset.scaling.high.tolist(),
        "settings": agent.recipe.values(),
        "seed": agent.seed,
        "versions": versions(
            agent.recipe.name, registry, dataset.environment.identity if dataset.environment else ""
        ),
    }


def _write_onnx(
    graph: torch.export.ExportedProgram, path: Path, metadata: Mapping[str, Any]
) -> None:
    with _quiet():
        program = torch.onnx.export(graph, dynamo=True, verbose=False, output_names=["actions"])
        assert program is not None
        for key, value in metadata.items():
            text = value if isinstance(value, str) else json.dumps(value)
            program.model.metadata_props[key] = text
        program.save(str(path), external_data=False)


def _write_torchscript(
    graph: torch.export.ExportedProgram, path: Path, metadata: Mapping[str, Any]
) -> None:
    example = dict(graph.example_inputs[1])
    with _quiet():
        trace: Any = torch.jit.trace
        module = trace(graph.module(), example_kwarg_inputs=example, check_trace=False)
        # Frozen, it leaves the critics at home that the act does not ask.
        frozen = torch.jit.freeze(module.eval())
        torch.jit.save(frozen, str(path), _extra_files={METADATA: json.dumps(metadata)})


def load_onnx(path: Path) -> Callable[[Inputs], Tensor]:
    """An ONNX file as a function of its inputs, run by onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> Tensor:
        wanted = {each.name: inputs[each.name].numpy() for each in session.get_inputs()}
        return torch.from_numpy(session.run(["actions"], wanted)[0])

    return run


def load_torchscript(path: Path) -> Callable[[Inputs], Tensor]:
    """A TorchScript file as a function of its inputs."""
    with _quiet():
        module: Any = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

    def run(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            actions: Tensor = module(**inputs)
        return actions

    return run


_WRITERS = {"onnx": _write_onnx, "torchscript": _write_torchscript}
_LOADERS = {"onnx": load_onnx, "torchscript": load_torchscript}


def _check(
    exported: Callable[[Inputs], Tensor],
    agent: Agent,
    act: str,
    scaling: ActionScaling,
    draws: Sequence[Draw],
) -> tuple[float, int, int]:
    """The greatest difference, the observations checked, and those left out as undecided.

    Raises:
        ZooError: an action outside its bounds; a difference above the tolerance where the original
            is decided.
    """
    generator = torch.Generator().manual_seed(0)
    half, low, high = map(torch.from_numpy, (scaling.half, scaling.low, scaling.high))
    worst, undecided = 0.0, 0
    for batch in BATCHES:
        spread = torch.randn(batch, agent.space.observation_dim, generator=generator)
        observations = agent.observation_mean + agent.observation_std * spread
        noise = Recorder(generator)
        original = _scaled(scaling, agent.act(observations, noise, act))
        rows = noise.rows(draws)
        found = exported(_inputs(observations, rows)).double()
        if ((found < low) | (found > high)).any():
            raise ZooError("the exported file leaves the bounds of the actions; it was deleted")
        differences = (found - original).abs()
        wrong = ~(differences <= TOLERANCE * half).all(1)
        if wrong.any():
            moves = _moves(agent, act, scaling, draws, observations, rows)
            wrong_still = wrong & ~(moves >= differences / 2.0).all(1)
            if wrong_still.any():
                raise ZooError(
                    f"the exported file differs from the policy by {differences.max():.3g} in "
                    f"{int(wrong_still.sum())} of {batch} random observations; it was deleted"
                )
        undecided += int(wrong.sum())
        worst = max(worst, float(differences[~wrong].max()) if (~wrong).any() else 0.0)
    return worst, sum(BATCHES), undecided


def _inputs(observations: Tensor, rows: Mapping[Kind, Tensor]) -> Inputs:
    return {"observations": observations, **{str(kind): found for kind, found in rows.items()}}


def _moves(
    agent: Agent,
    act: str,
    scaling: ActionScaling,
    draws: Sequence[Draw],
    observations: Tensor,
    rows: dict[Kind, Tensor],
) -> Tensor:
    """Change of the original's actions [B, A] when the observations change by 1e-5.

    A choice between two candidates of almost equal value may fall either way after rounding.
    """
    generator = torch.Generator().manual_seed(1)
    first = _scaled(scaling, agent.act(observations, RowNoise(draws, rows), act))
    farthest = torch.zeros_like(first)
    for _ in range(NUDGES):
        nudge = 1e-5 * torch.randn(observations.shape, generator=generator)
        nudged = observations * (1.0 + nudge)
        moved = _scaled(scaling, agent.act(nudged, RowNoise(draws, rows), act))
        farthest = torch.maximum(farthest, (moved - first).abs())
    return farthest


def _scaled(scaling: ActionScaling, actions: Tensor) -> Tensor:
    return torch.from_numpy(scaling.from_unit(actions.numpy()))


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A path in a temporary folder next to the target; the folder is removed afterwards."""
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
            yield Path(folder) / target.name
    except OSError as error:
        raise ZooError(f"cannot write {target}: {error.strerror or error}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's notes on deprecation and on packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
