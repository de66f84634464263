"""The zoo's core: algorithms are parts plus stages, and a loss is a pure function of a context.

A *sampler* draws actions and can be cloned from data; a *critic* scores actions; a *loss* says what
to minimise. An *algorithm* names its parts and says, stage by stage, which losses train which
parts, and how it acts. One training loop runs every algorithm. In Python::

    import torch, zoo_core

    data = zoo_core.OfflineData.from_episodes(episodes)      # tensors, actions in [-1, 1]
    recipe = zoo_core.resolve("td3_bc", ["steps=5000", "critic.hidden=128"])
    trainer = zoo_core.Trainer(recipe, data, seeds=(0,)).run()
    agent = trainer.agent()
    agent.save("td3_bc.pt")

    agent = zoo_core.Agent.load("td3_bc.pt")
    noise = zoo_core.GeneratorNoise(torch.Generator().manual_seed(0))
    actions = agent.act(observations, noise)                  # [B, O] to [B, A]

A plugin is a module with an entry point in the group `zoo`. The smallest one is an algorithm made
of registered parts and losses::

    from zoo_core import AlgorithmConfig, AlgorithmSpec, Act, Adam, Citation, Part, Stage, Term
    from zoo_core import Update, hookimpl

    def parts(config):
        return {"sampler": Part("gaussian")}

    def stages(config):
        update = Update("actor", trains={"sampler": Adam()}, losses=(Term("nll"),))
        return (Stage("train", config.steps, (update,)),)

    def acts(config):
        return (Act(choose="mode"),)

    @hookimpl
    def zoo_algorithms():
        cite = Citation("My paper", "Me", 2026, "https://example.org")
        yield AlgorithmSpec("mine", AlgorithmConfig, cite, "One line.", "cloning",
                            parts, stages, acts)
"""

from zoo_core.agent import Agent
from zoo_core.batch import Batch
from zoo_core.config import AlgorithmConfig, Config, Setting
from zoo_core.context import Context
from zoo_core.data import OfflineData, Space
from zoo_core.diffusion.solver import Solver
from zoo_core.drawing import drawn_actions
from zoo_core.errors import (
    BadCheckpoint,
    BrokenPlugin,
    Diverged,
    Incompatible,
    UnknownName,
    ZooError,
)
from zoo_core.hookspecs import hookimpl
from zoo_core.noise import GeneratorNoise, Noise
from zoo_core.protocols import (
    Critic,
    Dual,
    Guidable,
    HasLogProb,
    HasMode,
    HasNll,
    HasOneStep,
    HasScale,
    HasSolver,
    Sampler,
    ValueFunction,
)
from zoo_core.recipe import Recipe, resolve
from zoo_core.reductions import Reduction, over_members, reduction
from zoo_core.registry import Registry, installed, load
from zoo_core.schedules import Schedule
from zoo_core.specs import (
    Act,
    Adam,
    AlgorithmSpec,
    Average,
    Citation,
    Columns,
    CriticSpec,
    Ema,
    Loss,
    LossSpec,
    Metrics,
    Part,
    Policy,
    Reads,
    SamplerSpec,
    Stage,
    Term,
    Transitions,
    Update,
    Windows,
)
from zoo_core.tracking import TrackedRun, Tracker, TrackerSpec
from zoo_core.training import Log, Preparing, Trainer
from zoo_core.version import SEMANTICS, __version__

__all__ = [
    "SEMANTICS",
    "Act",
    "Adam",
    "Agent",
    "AlgorithmConfig",
    "AlgorithmSpec",
    "Average",
    "BadCheckpoint",
    "Batch",
    "BrokenPlugin",
    "Citation",
    "Columns",
    "Config",
    "Context",
    "Critic",
    "CriticSpec",
    "Diverged",
    "Dual",
    "Ema",
    "GeneratorNoise",
    "Guidable",
    "HasLogProb",
    "HasMode",
    "HasNll",
    "HasOneStep",
    "HasScale",
    "HasSolver",
    "Incompatible",
    "Log",
    "Loss",
    "LossSpec",
    "Metrics",
    "Noise",
    "OfflineData",
    "Part",
    "Policy",
    "Preparing",
    "Reads",
    "Recipe",
    "Reduction",
    "Registry",
    "Sampler",
    "SamplerSpec",
    "Schedule",
    "Setting",
    "Solver",
    "Space",
    "Stage",
    "Term",
    "TrackedRun",
    "Tracker",
    "TrackerSpec",
    "Trainer",
    "Transitions",
    "UnknownName",
    "Update",
    "ValueFunction",
    "Windows",
    "ZooError",
    "__version__",
    "drawn_actions",
    "hookimpl",
    "installed",
    "load",
    "over_members",
    "reduction",
    "resolve",
]
