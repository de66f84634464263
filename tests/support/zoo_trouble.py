"""A third party's plugin whose algorithms misbehave on purpose, each in its own way."""

import ctypes
import functools
import os
import random
import signal
import sys
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from pydantic import NonNegativeFloat

from zoo_core import (
    Act,
    Adam,
    AlgorithmConfig,
    AlgorithmSpec,
    Citation,
    Config,
    LossSpec,
    Part,
    Sampler,
    Stage,
    Term,
    TrackerSpec,
    Transitions,
    Update,
    drawn_actions,
    hookimpl,
)

CALLS = 30
"""After how many calls of its loss an algorithm misbehaves."""


class TroubleConfig(Config):
    delay: NonNegativeFloat = 0.0
    """Seconds per call."""


class Settings(AlgorithmConfig):
    delay: NonNegativeFloat = 0.0
    """Seconds per step."""


HOARD = []


def devour():
    """Takes 16 MiB more at each call, and uses them."""
    HOARD.append(np.ones(2 << 20))


def fork_on():
    """Leaves a child, a daemon that escaped the process group, and a copy of the job itself."""
    if os.fork() == 0:
        time.sleep(3600)
        os._exit(0)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    os.fork()


def reseed():
    """What a careless plugin does to the generators that everybody shares."""
    if "TROUBLE_RESEEDS" in os.environ:
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)


def misbehave(kind):
    if kind == "raises":
        raise ValueError("the plugin's own mistake")
    if kind == "exits":
        sys.exit("enough")
    if kind == "quits":
        print("last words", flush=True)
        os._exit(9)
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "crashes":
        ctypes.string_at(0)
    if kind == "hangs":
        time.sleep(3600)
    if kind == "chatters":
        print("x" * (1 << 20), flush=True)
    if kind == "devours":
        devour()
    if kind == "reseeds":
        reseed()


def loss_spec(kind):
    def build(config):
        calls = 0

        def loss(context):
            nonlocal calls
            calls += 1
            if calls == 1 and "TROUBLE_LEDGER" in os.environ:
                with open(os.environ["TROUBLE_LEDGER"], "a") as ledger:
                    print(kind, os.getpid(), file=ledger)
            time.sleep(config.delay)
            batch = context.batch
            value = context.sampler.nll(batch.observations, batch.actions, context.noise).mean()
            if kind == "forks" and calls == CALLS:
                fork_on()
            if calls > CALLS:
                misbehave(kind)
                if kind == "diverges":
                    return value * float("nan")
            return value, {"twice": 2.0 * value}

        return loss

    def reads(config):
        return {"sampler": (Sampler,)}

    return LossSpec(f"trouble_{kind}", TroubleConfig, build, reads)


def algorithm(kind):
    def stages(config):
        term = Term(f"trouble_{kind}", delay=config.delay)
        update = Update("actor", trains={"sampler": Adam()}, losses=(term,))
        return (Stage("train", config.steps, (update,), batch=Transitions(size=config.batch_size)),)

    return AlgorithmSpec(
        name=kind,
        config=Settings,
        cite=Citation("Trouble", "Nobody", 2026, "https://example.org"),
        parts=lambda config: {"sampler": Part("deterministic", hidden=8)},
        stages=stages,
        acts=lambda config: (Act(choose="mode"),),
        tuned={"*/bandit-v0": {"batch_size": 32}},
        tuning_evaluations={"test/*": 12},
        tuning_source="made up",
    )


def draws(agent, data, noise):
    return {"drawn": drawn_actions(agent, data, noise, 2)}


def drawing():
    """Draws actions for each observation before its second stage."""

    def stages(config):
        (stage,) = algorithm("steady").stages(config)
        first = replace(stage, name="before", steps=config.steps // 4)
        return (first, replace(stage, steps=config.steps - first.steps, prepare=draws))

    return replace(algorithm("steady"), name="draws", stages=stages)


def fit(config, data, seed, device):
    return lambda observations: observations.new_zeros(len(observations), data.space.action_dim)


KINDS = (
    *("steady", "raises", "exits", "quits", "killed", "crashes", "hangs", "diverges"),
    *("forks", "chatters", "devours", "reseeds"),
)


class Bad:
    """A tracker that raises at one of its moments."""

    def __init__(self, when, run):
        self.when = when
        self.at("build")

    def at(self, moment):
        if self.when == moment:
            raise RuntimeError("made up\nand a second line")
        if self.when == "exits" and moment == "scalars":
            sys.exit("made up")

    def scalars(self, step, values):
        self.at("scalars")

    def ended(self, failure):
        self.at("ended")


class Keeps:
    """A tracker that remembers what it was told."""

    all: ClassVar[list] = []

    def __init__(self, run):
        self.run, self.told, self.end = run, [], None
        self.all.append(self)

    def scalars(self, step, values):
        self.told.append((step, values))

    def ended(self, failure):
        self.end = failure


@hookimpl
def zoo_trackers():
    moments = ("build", "scalars", "ended", "exits")
    yield from (TrackerSpec(f"bad_{when}", functools.partial(Bad, when)) for when in moments)
    yield TrackerSpec("keeps", Keeps)
    yield TrackerSpec("absent", Keeps, needs=("no_such_module",), install="x[y]")


@hookimpl
def zoo_losses():
    return [loss_spec(kind) for kind in KINDS]


@hookimpl
def zoo_algorithms():
    cite = Citation("Outside", "Nobody", 2026, "https://example.org")
    external = AlgorithmSpec("outsider", AlgorithmConfig, cite, fit=fit)
    return [*(algorithm(kind) for kind in KINDS), drawing(), external]
