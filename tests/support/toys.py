"""Algorithms of the tests' own, which use every seam of the core."""

import torch

from zoo_core import (
    Act,
    Adam,
    AlgorithmConfig,
    AlgorithmSpec,
    Average,
    Citation,
    Config,
    CriticSpec,
    Ema,
    LossSpec,
    Part,
    Sampler,
    Schedule,
    Stage,
    Term,
    Transitions,
    Update,
    ValueFunction,
    Windows,
    hookimpl,
)
from zoo_core import registry as registry_module
from zoo_core.config import RewardRule
from zoo_core.registry import Plugin

CITE = Citation("Toy", "Nobody", 2026, "https://example.org")


class Nothing(Config):
    """No settings."""


class Value(torch.nn.Module):
    """A linear value function."""

    def __init__(self, config, space):
        super().__init__()
        self.body = torch.nn.Linear(space.observation_dim, 4)
        self.head = torch.nn.Linear(4, 1)

    def v(self, observations):
        return self.head(self.body(observations).tanh()).squeeze(-1)


def returns(config):
    def loss(context):
        error = context.part("value").v(context.batch.observations) - context.batch.rewards
        moved = context.target.part("value").v(context.batch.observations)
        shared = context.once("draw", lambda: context.noise.normal(3).sum())
        error = error + 0.01 * shared + 0.0 * moved + 0.1 * context.average("error_mean")
        return error.square().mean(), {"error_mean": error.mean()}

    return loss


def again(config):
    def loss(context):
        shared = context.once("draw", lambda: context.noise.normal(3).sum())
        prepared = context.batch.columns["offset"] - context.batch.next_columns["offset"]
        value = context.part("value").v(context.batch.observations)
        return (0.001 * shared + value * 0.01 + prepared).square().mean()

    return loss


def windowed(config):
    def loss(context):
        batch = context.batch
        value = context.part("value").v(batch.observations)
        return ((value - batch.rewards).square() * batch.mask).sum() / batch.mask.sum()

    return loss


def noisy(config):
    def loss(context):
        value = context.part("value").v(context.batch.observations)
        return (value + context.noise.normal(*value.shape)).square().mean()

    return loss


def offsets(agent, data, noise):
    """The value of each stored observation, plus noise."""
    values = agent.part("value").v(agent.normalized(data.observations.to(agent.reward_scale)))
    return {"offset": values + 0.1 * noise.normal(len(values))}


class ToyConfig(AlgorithmConfig):
    """Settings of the toy."""

    steps: int = 30
    """Training steps."""
    batch_size: int = 8
    """Transitions per step."""
    normalize_observations: bool = True
    """Whether observations are standardised."""
    reward: RewardRule = "standardise"
    """How rewards are rescaled."""


def parts(config):
    return {"sampler": Part("gaussian", hidden=8), "value": Part("linear_value")}


def stages(config):
    third = config.steps // 3
    rate = Schedule(shape="cosine", start=1e-2, end=1e-3)
    first = Stage(
        "first",
        third,
        (
            Update("actor", {"sampler": Adam(lr=rate)}, (Term("nll"),), every=2),
            Update("value", {"value": Adam(max_grad_norm=0.1)}, (Term("returns"),)),
        ),
        (Ema("value.head", rate=0.1, every=2),),
        batch=Transitions(size=config.batch_size),
    )
    second = Stage(
        "second",
        third,
        (
            Update(
                "value",
                {"value.body": Adam(), "value.head": Adam(weight_decay=0.1, decoupled=True)},
                (
                    Term("returns", weight=Schedule(start=1.0, end=0.5)),
                    Term("again", name="more", weight=0.5),
                ),
            ),
        ),
        (Ema("value.head", rate=0.1),),
        batch=Transitions(size=config.batch_size),
        prepare=offsets,
        prepares=("offset",),
    )
    last = Stage(
        "last",
        config.steps - 2 * third,
        (Update("value", {"value": Adam()}, (Term("windowed"),)),),
        batch=Windows(size=config.batch_size, horizon=5),
        reset=("value",),
    )
    return (first, second, last)


def acts(config):
    return (Act(name="mode", choose="mode_or_sample"), Act(name="draw", choose="sample"))


TOY = AlgorithmSpec(
    name="toy",
    config=ToyConfig,
    cite=CITE,
    summary="uses every seam",
    parts=parts,
    stages=stages,
    acts=acts,
    tuned={"toy/*": {"batch_size": 4}, "toy/hard*": {"first.actor.optimizer.sampler.lr": 0.5}},
)


class ToyPlugin:
    @hookimpl
    def zoo_algorithms(self):
        return [TOY]

    @hookimpl
    def zoo_critics(self):
        return [CriticSpec("linear_value", Nothing, Value)]

    @hookimpl
    def zoo_losses(self):
        value = {"value": (ValueFunction,)}
        return [
            LossSpec(
                "returns",
                Nothing,
                returns,
                lambda config: {**value, "target.value": (ValueFunction,)},
                "(V - r)^2",
                averages={"error_mean": Average(rate=0.1)},
            ),
            LossSpec("again", Nothing, again, lambda config: value, "V^2", columns=("offset",)),
            LossSpec("noisy", Nothing, noisy, lambda config: value, "(V + noise)^2"),
            LossSpec("windowed", Nothing, windowed, lambda config: value, "(V - r)^2 on windows"),
            LossSpec(
                "cql_penalty_like",
                Nothing,
                returns,
                lambda config: {"sampler": (Sampler, ValueFunction)},
                "nothing",
            ),
        ]


def registry_with(*plugins):
    """The built-in parts and the given plugins, whatever is installed."""
    loaded = registry_module.load(found=[])
    for number, plugin in enumerate(plugins):
        loaded.add(plugin, Plugin(f"p{number}", f"dist-p{number}", "1", "toys"))
    assert not loaded.failures, loaded.failures
    return loaded


def toy_registry():
    return registry_with(ToyPlugin())
