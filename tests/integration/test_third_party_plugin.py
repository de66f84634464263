"""A plugin that is not in this repository: pip-installed, it is listed, trained and ranked."""

import json
import os
import subprocess
import sys

import pytest
from worlds import BANDIT, zoo

ALGORITHM = '''
"""Cloning with a loss of its own."""

import torch

from zoo_core import (
    Act, Adam, AlgorithmConfig, AlgorithmSpec, Citation, Config, LossSpec, Part, Sampler, Stage,
    Term, Transitions, Update, hookimpl,
)


class HuberConfig(Config):
    """Settings of the loss."""

    scale: float = 0.5
    """Where the error turns from quadratic to linear."""


def build(config):
    def huber(context):
        batch = context.batch
        actions = context.sampler.sample(batch.observations, context.noise)[0]
        return torch.nn.functional.huber_loss(actions, batch.actions, delta=config.scale)

    return huber


@hookimpl
def zoo_losses():
    yield LossSpec("huber", HuberConfig, build, lambda c: {"sampler": (Sampler,)}, "huber(a, pi)")


@hookimpl
def zoo_algorithms():
    def stages(config):
        update = Update("actor", {"sampler": Adam()}, (Term("huber"),))
        return (Stage("train", config.steps, (update,), batch=Transitions(size=config.batch_size)),)

    yield AlgorithmSpec(
        name="huber_bc",
        config=AlgorithmConfig,
        cite=Citation("Huber cloning", "A third party", 2026, "https://example.org"),
        summary="robust cloning",
        family="cloning",
        parts=lambda config: {"sampler": Part("deterministic")},
        stages=stages,
        acts=lambda config: (Act(choose="mode"),),
    )
'''

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "third-party-{name}"
version = "3.1"
dependencies = ["zoo-core"]

[project.entry-points.zoo]
{name} = "third_{name}"

[tool.hatch.build.targets.wheel]
only-include = ["third_{name}.py"]
"""

PLUGINS = {
    "good": ALGORITHM,
    "raising": "raise RuntimeError('no licence found')",
    "rubbish": "from zoo_core import hookimpl\n@hookimpl\ndef zoo_losses():\n    return [42]\n",
    "clashing": ALGORITHM.replace("huber_bc", "td3_bc").replace('"huber"', '"hubert"'),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory, home):
    """The variables under which the product sees the plugins that pip has installed."""
    folder = tmp_path_factory.mktemp("third")
    sources = []
    for name, code in PLUGINS.items():
        source = folder / name
        source.mkdir()
        (source / "pyproject.toml").write_text(PROJECT.format(name=name))
        (source / f"third_{name}.py").write_text(code)
        sources.append(str(source))
    target = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([*command, *sources], check=True, timeout=300)
    paths = [str(target), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "ZOO_HOME": str(home)}


def test_it_is_listed_and_each_broken_one_is_reported_by_distribution(installed, tmp_path):
    done = zoo("plugins", cwd=tmp_path, **installed)
    assert done.returncode == 0
    lines = " ".join(done.stdout.split())
    assert "good third-party-good 3.1 algorithms losses huber_bc, huber" in lines
    assert "third-party-raising 3.1): import of third_raising raised RuntimeError" in lines
    assert "zoo_losses() gave a int, not a LossSpec" in lines
    assert "the algorithm 'td3_bc' of third-party-clashing 3.1 clashes with" in lines
    assert "zoo-td3-bc" in lines


def test_it_passes_the_kit_and_its_page_is_shown(installed, tmp_path):
    assert "huber_bc: all checks hold" in zoo("check", "huber_bc", cwd=tmp_path, **installed).stdout
    assert "huber(a, pi)" in zoo("show", "huber_bc", cwd=tmp_path, **installed).stdout


def test_it_trains_and_gets_its_row(installed, tmp_path):
    budget = ("--set", "steps=40", "--seeds", "0", "--store", tmp_path)
    algorithms = ("--algorithm", "huber_bc", "--algorithm", "bc")
    run = ("leaderboard", "run", "--dataset", BANDIT, *budget, *algorithms)
    done = zoo(*run, cwd=tmp_path, **installed)
    assert done.returncode == 0, done.stderr
    table = ("leaderboard", "table", "--format", "json", "--store", tmp_path)
    text = json.dumps(json.loads(zoo(*table, cwd=tmp_path, **installed).stdout))
    assert "huber_bc" in text
