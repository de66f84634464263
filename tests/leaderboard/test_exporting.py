"""Exported policies: the file against the policy, from the same numbers."""

import itertools
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo_core import Agent, GeneratorNoise, Space, resolve
from zoo_core.cli import main
from zoo_core.errors import UnknownName, ZooError
from zoo_core.registry import installed
from zoo_leaderboard.datasets import ActionScaling
from zoo_leaderboard.policies import exporting, rows
from zoo_leaderboard.policies.exporting import METADATA, export

PENDULUM = "test/pendulum-v0"
"""Three observations, one action in [-2, 2]."""
SMALL = {
    "bc": ["sampler.hidden=8"],
    "diffusion_ql": ["sampler.hidden=8", "sampler.steps=2", "critic.hidden=8"],
    "qgpo": ["sampler.hidden=8", "sampler.energy_hidden=8", "critic.hidden=8"],
}


@pytest.fixture(scope="module")
def data_home(tmp_path_factory):
    from zoo_leaderboard.datasets.embedded.builder import write
    from zoo_leaderboard.datasets.embedded.pendulum import BUILDER, episodes

    home = tmp_path_factory.mktemp("home")
    folder = home / "datasets" / PENDULUM
    folder.mkdir(parents=True)
    small = replace(BUILDER, id=PENDULUM, episodes=lambda: itertools.islice(episodes(), 1))
    write(small, folder / "data")
    return home


@pytest.fixture
def saved(data_home, tmp_path, monkeypatch):
    """Writes an untrained agent that normalises its observations, and gives it with its file."""
    monkeypatch.setenv("ZOO_HOME", str(data_home))
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)

    def save(name, settings=()):
        agent = Agent(resolve(name, [*SMALL.get(name, []), *settings]), Space(3, 1), seed=3)
        agent.observation_mean.copy_(torch.tensor([0.5, -1.0, 2.0]))
        agent.observation_std.copy_(torch.tensor([0.3, 2.0, 1.0]))
        agent.save(tmp_path / "policy.pt")
        return agent.eval(), tmp_path / "policy.pt"

    return save


def scaled(actions):
    """From [-1, 1] to the pendulum's torques."""
    return 2.0 * actions


def test_a_torchscript_file_acts_as_the_policy_in_the_environments_bounds(saved, tmp_path):
    agent, file = saved("bc", ["normalize_observations=true"])
    done = export(file, tmp_path / "bc.pt", "torchscript", dataset=PENDULUM)
    assert done.path == tmp_path / "bc.pt"
    assert done.difference < 1e-5 and done.undecided == 0
    files = {METADATA: ""}
    policy = torch.jit.load(done.path, _extra_files=files)
    noise = GeneratorNoise(torch.Generator())
    for batch in (1, 2, 40):
        observations = 5.0 * torch.randn(batch, 3)
        expected = scaled(agent.act(observations, noise))
        torch.testing.assert_close(policy(observations), expected, atol=1e-5, rtol=0.0)
    about = json.loads(files[METADATA])
    assert about["algorithm"] == "bc" and about["act"] == "mode"
    assert about["dataset"] == PENDULUM and about["environment"] == "Pendulum-v1"
    assert about["action_low"] == [-2.0] and about["action_high"] == [2.0]
    assert {"python", "torch", "zoo-core", "zoo-bc"} <= set(about["versions"])


def test_a_random_act_takes_its_numbers_as_inputs_in_the_order_of_the_draws(saved, tmp_path):
    agent, file = saved("diffusion_ql")
    export(file, tmp_path / "ql.pt", "torchscript", dataset=PENDULUM)
    policy = torch.jit.load(tmp_path / "ql.pt")
    observations = torch.randn(5, 3)
    generator = torch.Generator().manual_seed(7)
    expected = scaled(agent.act(observations, GeneratorNoise(generator)))
    # The chain's start and its one step for 50 candidates each, then the softmax's draw.
    generator.manual_seed(7)
    start = torch.randn(50, 5, 1, generator=generator)
    step = torch.randn(50, 5, 1, generator=generator)
    uniforms = torch.rand(50, 5, generator=generator).T
    normals = torch.cat([start[..., 0].T, step[..., 0].T], 1)
    found = policy(observations, normals, uniforms)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0.0)
    assert (policy(observations, normals.flip(1), uniforms) != expected).any()


def test_an_onnx_file_acts_as_the_policy(saved, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    agent, file = saved("bc")
    export(file, tmp_path / "bc.onnx", "onnx", dataset=PENDULUM, act="sample")
    session = runtime.InferenceSession(tmp_path / "bc.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 9):
        observations = torch.randn(batch, 3)
        generator = torch.Generator().manual_seed(7)
        expected = scaled(agent.act(observations, GeneratorNoise(generator), "sample"))
        normals = torch.randn(batch, 1, generator=generator.manual_seed(7))
        inputs = {"observations": observations.numpy(), "normals": normals.numpy()}
        (found,) = session.run(["actions"], inputs)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.abs(found).max() <= 2.0
    about = {p.key: p.value for p in onnx.load(tmp_path / "bc.onnx").metadata_props}
    assert about["algorithm"] == "bc" and about["act"] == "sample"
    assert json.loads(about["action_high"]) == [2.0]


def test_the_command_says_what_the_file_takes_and_how_far_it_is_off(saved, tmp_path, capsys):
    _, file = saved("bc")
    out = tmp_path / "bc.pt"
    arguments = ["--format", "torchscript", "--out", out, "--act", "sample", "--dataset", PENDULUM]
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(file), *map(str, arguments)])
    printed = capsys.readouterr().out
    assert not stopped.value.code
    assert f"wrote {out}: bc (sample) on {PENDULUM}" in printed
    assert "normals [B, 1] standard normal" in printed
    assert "over 264 random observations" in printed


def test_what_cannot_be_exported_is_refused_in_a_line(saved, tmp_path):
    _, file = saved("qgpo")
    with pytest.raises(ZooError, match=r"scale_3.*follows the gradient of an energy"):
        export(file, tmp_path / "q.pt", "torchscript", dataset=PENDULUM)
    _, file = saved("bc")
    with pytest.raises(ZooError, match="name its --dataset"):
        export(file, tmp_path / "b.pt", "torchscript")
    with pytest.raises(UnknownName, match="smaple"):
        export(file, tmp_path / "b.pt", "torchscript", dataset=PENDULUM, act="smaple")
    with pytest.raises(ZooError, match="no folder"):
        export(file, tmp_path / "nowhere" / "b.pt", "torchscript", dataset=PENDULUM)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.pt"]


def test_a_file_that_differs_is_deleted_and_the_old_one_kept(saved, tmp_path, monkeypatch):
    _, file = saved("bc")
    load = exporting.load_torchscript

    def off(path):
        return lambda inputs: load(path)(inputs) + 0.001

    monkeypatch.setitem(exporting._LOADERS, "torchscript", off)
    out = tmp_path / "bc.pt"
    out.write_text("an older file")
    with pytest.raises(ZooError, match=r"differs from the policy by 0\.001.*deleted"):
        export(file, out, "torchscript", dataset=PENDULUM)
    assert out.read_text() == "an older file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bc.pt", "policy.pt"]


def test_without_onnx_the_line_says_what_to_install(saved, tmp_path, monkeypatch):
    _, file = saved("bc")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ZooError, match=r"pip install 'zoo-leaderboard\[onnx\]'"):
        export(file, tmp_path / "bc.onnx", "onnx", dataset=PENDULUM)


UNIT = ActionScaling(np.array([-1.0]), np.array([1.0]))


def policy_of(act):
    """As much of an agent as a check asks for."""
    return SimpleNamespace(
        act=lambda observations, noise, name: act(observations),
        space=Space(1, 1),
        observation_mean=torch.zeros(1),
        observation_std=torch.ones(1),
    )


def test_a_difference_counts_unless_the_policy_itself_is_undecided_there():
    def cliff(observations):
        return torch.where(observations > cliff.at, 1.0, -1.0)

    drawn = torch.randn(1, 1, generator=torch.Generator().manual_seed(0))
    cliff.at = drawn[0, 0]
    # The first observation lies on the cliff: what rounding makes of it is no mistake.
    other = lambda inputs: torch.where(inputs["observations"] >= cliff.at, 1.0, -1.0)  # noqa: E731
    worst, checked, undecided = exporting._check(other, policy_of(cliff), "act", UNIT, ())
    assert (worst, checked, undecided) == (0.0, 264, 1)
    cliff.at = torch.tensor(100.0)
    wrong = lambda inputs: torch.ones_like(inputs["observations"])  # noqa: E731
    with pytest.raises(ZooError, match="differs from the policy by 2"):
        exporting._check(wrong, policy_of(cliff), "act", UNIT, ())
    not_a_number = lambda inputs: torch.full_like(inputs["observations"], torch.nan)  # noqa: E731
    with pytest.raises(ZooError, match="differs from the policy"):
        exporting._check(not_a_number, policy_of(cliff), "act", UNIT, ())


def test_a_draw_that_belongs_to_no_observation_is_refused():
    class Shared:
        space = Space(1, 1)

        def act(self, observations, noise, act):
            return observations + noise.normal(1)

    with pytest.raises(ZooError, match="no rows"):
        rows.draws_of(Shared(), "act")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torchscript", "onnx"])
@pytest.mark.parametrize("name", sorted(installed().algorithms))
def test_every_algorithm_exports_but_the_guided_one(name, format, saved, tmp_path):
    if format == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
    agent, file = saved(name)
    for act in (agent.recipe.acts[0], agent.recipe.acts[-1]):
        out = tmp_path / f"{act.name}.file"
        if name == "qgpo" and act.scale != 0.0:
            with pytest.raises(ZooError, match="gradient"):
                export(file, out, format, dataset=PENDULUM, act=act.name)
        else:
            done = export(file, out, format, dataset=PENDULUM, act=act.name)
            assert done.difference < 2e-4 and done.undecided < 3
