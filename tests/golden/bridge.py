"""Gives our code the weights, batches and draws of `formula`, and compares what comes out."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo_core import Agent, Batch, Noise, OfflineData, Recipe, Space, Trainer, resolve
from zoo_core.engines.base import EngineTerm, EngineUpdate, objective
from zoo_core.nn import RandomFourierFeatures

from . import formula

ROWS, OBSERVATIONS, ACTIONS = 16, 11, 3
SPACE = Space(OBSERVATIONS, ACTIONS)
UPDATES = 5
SUBMODULES = r"\b(?:vae|encoder|decoder|perturbation|energy)\b"
"""Below a part, whose names stand in its parameters' roles."""
UNET = r"(?:prior\.)?denoiser\.(?:time\.(?:weight|bias)|observation|context_|down|middle|up|last"
UNET += r"|embedding|time_in|time_out|first|blocks)"
"""Layers of the residual denoiser, whose roles are their names; so is `energy.time`."""


@cache
def golden(name: str) -> dict[str, Any]:
    """The numbers of one file."""
    content: dict[str, Any] = json.loads(Path(__file__).with_name(f"{name}.json").read_text())
    return content


def close(ours: Any, theirs: Any, rtol: float = 1e-9, atol: float = 1e-12) -> None:
    """Asserts equality up to rounding of float64, and of shapes."""
    ours, theirs = (torch.as_tensor(x, dtype=torch.float64) for x in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)


def same_prints(ours: dict[str, Tensor], theirs: dict[str, Any]) -> None:
    """Compares tensors by role with recorded fingerprints."""
    assert set(ours) == set(theirs)
    for role, tensor in ours.items():
        for kind, value in formula.fingerprint(tensor).items():
            close(value, theirs[role][kind])


# -- weights


def role(parameter: str, targets: str = "own") -> str:
    """A parameter of an agent, `live.critic.net.members.0.first.weight`, as a role,
    `critic/0/layers/0/weight`; a dual variable's is its part's name. Averages have the live parts'
    roles if `targets` is "copy"."""
    side, part, inner = parameter.split(".", 2)
    where = "target/" if side == "target" and targets == "own" else ""
    where += "actor" if part == "sampler" else part
    if inner == "log_value":
        return where
    if inner == "log_std" or inner.startswith("norm."):
        return f"{where}/{inner.replace('.', '/')}"
    if re.match(rf"{UNET}|energy\.time", inner):
        return f"{where}/{inner.replace('.', '/')}"
    where += "".join(f"/{name}" for name in re.findall(SUBMODULES, inner))
    if member := re.search(r"members\.(\d+)\.", inner):
        where += f"/{member[1]}"
    kind = inner.rpartition(".")[2]
    if ".time." in inner:
        return f"{where}/time/{0 if 'expand' in inner else 1}/{kind}"
    rest = re.search(r"rest\.(\d+)\.", inner)
    return f"{where}/layers/{int(rest[1]) + 1 if rest else 0}/{kind}"


def filled(agent: Agent, targets: str = "own") -> Agent:
    """The agent with its parameters by formula."""
    with torch.no_grad():
        for name, parameter in agent.named_parameters():
            parameter.copy_(formula.weight(role(name, targets), parameter.shape))
        for module in agent.modules():
            if isinstance(module, RandomFourierFeatures):
                frequencies = module.frequencies
                frequencies.copy_(30 * formula.normal("frequencies", frequencies.shape))
    return agent


def agent_of(algorithm: str, *settings: str) -> Agent:
    """An agent in float64 with weights by formula, averages having their own."""
    return filled(Agent(resolve(algorithm, settings), SPACE, dtype=torch.float64))


def parameters(agent: Agent, path: str) -> dict[str, Tensor]:
    """The parameters of `sampler`, `critic`, `target.sampler` or `target.critic` by role."""
    prefix = path if path.startswith("target.") else f"live.{path}"
    named = agent.named_parameters()
    return {role(name): p for name, p in named if name.startswith(f"{prefix}.")}


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """Of all of them together."""
    return torch.stack([tensor.detach().norm() for tensor in tensors]).norm()


def gradients(value: Tensor, agent: Agent, path: str) -> dict[str, Tensor]:
    """The gradient of a scalar by role of the part's parameters."""
    named = parameters(agent, path)
    return dict(zip(named, torch.autograd.grad(value, list(named.values())), strict=True))


# -- draws


class Draws(Noise):
    """Deals given tensors in the order of the calls, and insists on their shapes."""

    def __init__(self, normals: Sequence[Tensor] = (), uniforms: Sequence[Tensor] = ()) -> None:
        self.normals, self.uniforms = list(normals), list(uniforms)

    def normal(self, *shape: int) -> Tensor:
        return self.normals.pop(0).reshape(shape)

    def uniform(self, *shape: int) -> Tensor:
        return self.uniforms.pop(0).reshape(shape)

    @property
    def spent(self) -> bool:
        """Whether everything was drawn."""
        return not self.normals and not self.uniforms

    def tape(self) -> tuple[Tensor, Tensor]:
        """The flat tapes that an engine is given."""
        none = [torch.zeros(0, dtype=torch.float64)]
        flat = [[x.flatten() for x in kind] for kind in (self.normals, self.uniforms)]
        return torch.cat(none + flat[0]), torch.cat(none + flat[1])


def chain(prefix: str, steps: int, n: int = 1, rows: int = ROWS) -> list[Tensor]:
    """What a reverse chain draws."""
    roles = ["x_T", *(f"noise/{t}" for t in range(steps - 1, 0, -1))]
    return [formula.normal(f"{prefix}/{name}", (n, rows, ACTIONS)) for name in roles]


def cloning(prefix: str) -> Draws:
    """What the denoising loss draws."""
    eps = formula.normal(f"{prefix}/actor/bc/eps", (ROWS, ACTIONS))
    return Draws([eps], [formula.uniform(f"{prefix}/actor/bc/t", (ROWS,))])


# -- batches


def batch(step: int) -> Batch:
    """A batch by formula."""
    values = formula.batch(step, ROWS, OBSERVATIONS, ACTIONS)
    return Batch(**values, index=torch.arange(ROWS))


def data() -> OfflineData:
    """Batches 0 to 5, one after the other, as episodes of one transition each; in float64."""
    steps = [formula.batch(i, ROWS, OBSERVATIONS, ACTIONS) for i in range(UPDATES + 1)]
    joined = {name: torch.cat([step[name] for step in steps]) for name in steps[0]}
    pairs = torch.stack([joined["observations"], joined["next_observations"]], 1)
    terminated = joined["terminations"].bool()
    return OfflineData(
        observations=pairs.flatten(0, 1),
        actions=joined["actions"],
        rewards=joined["rewards"],
        terminations=terminated,
        truncations=~terminated,
        lengths=torch.ones(len(terminated), dtype=torch.int64),
    )


# -- losses and updates


def loss(agent: Agent, update: str, draws: dict[str, Draws]) -> tuple[Tensor, dict[str, Tensor]]:
    """The objective of an update of the stage `train` on batch 0, and its metrics."""
    stage = agent.recipe.stages[0]
    chosen = next(u for u in stage.updates if u.name == update)
    bound = [agent.recipe.losses[stage.name, update, term.name] for term in chosen.losses]
    terms = tuple(
        EngineTerm(term.name, own.spec.build(own.config), {})
        for term, own in zip(chosen.losses, bound, strict=True)
    )
    noises = [draws[term.name] for term in chosen.losses]
    weights = [float(term.weight) for term in chosen.losses]  # type: ignore[arg-type]
    result = objective(agent, batch(0), noises, weights, EngineUpdate(update, {}, terms))
    assert all(own.spent for own in noises)
    return result


def engine_cases(keys: Iterable[str]) -> pytest.MarkDecorator:
    """Parametrises `key` and `engine`: each case on the engine vmap, the first on solo too.

    The conformance kit compares the engines for every algorithm.
    """
    first, *rest = keys
    cases = [(first, "solo"), *((key, "vmap") for key in (first, *rest))]
    return pytest.mark.parametrize(("key", "engine"), cases)


def scripted(recipe: Recipe, engine: Any, targets: str, draws: Any) -> Trainer:
    """A trainer whose weights, batches and draws are those of the five golden updates.

    Args:
        recipe: With five steps, batches of 16.
        engine: `solo` or `vmap`.
        targets: "own" or "copy".
        draws: (update number, term) -> Draws.
    """
    trainer = Trainer(recipe, data(), engine=engine, dtype=torch.float64)
    agent = filled(Agent(recipe, SPACE, dtype=torch.float64), targets)
    trainer.engine.load({"agents": [agent.state_dict()], "optimizers": {}}, {}, "formula")
    trainer._enter()
    batches = trainer._batches
    assert batches is not None
    leading = (1,) if trainer.engine.stacked else ()
    rows = [torch.arange(i * ROWS, (i + 1) * ROWS) for i in range(1, UPDATES + 1)]
    batches.draw = iter(  # type: ignore[method-assign]
        [batches.at(index.expand(*leading, ROWS)) for index in rows]
    ).__next__
    for bound in trainer._updates:
        steps = [i for i in range(1, UPDATES + 1) if bound.update.fires(i)]
        for term, (stream,) in zip(bound.update.losses, bound.streams, strict=True):
            tapes = [draws(i, term.name).tape() for i in steps]
            assert all((len(n), len(u)) == (stream.normals, stream.uniforms) for n, u in tapes)
            stream.draw = iter(tapes).__next__  # type: ignore[method-assign]
    return trainer


def updates(trainer: Trainer) -> Iterator[tuple[dict[str, float], Agent]]:
    """Metrics and agent after each of the five updates."""
    logs: list[Any] = []
    for i in range(1, UPDATES + 1):
        trainer.run(until=i, log=logs.append, log_every=1)
        yield logs[-1].metrics[0], trainer.agent()


def same_norms(agent: Agent, theirs: dict[str, float]) -> None:
    """Compares the norms of whole parts: {"actor": ..., "target/critic": ...}."""
    for name, value in theirs.items():
        path = name.replace("actor", "sampler").replace("/", ".")
        close(norm(list(agent.part(path).parameters())), value)


def same_parts(agent: Agent, theirs: dict[str, Any]) -> None:
    """Compares every parameter of whole parts."""
    for name, prints in theirs.items():
        same_prints(parameters(agent, name.replace("actor", "sampler").replace("/", ".")), prints)
