"""The papers' pictures, drawn small; what they show is looked at, not tested."""

import importlib

import pytest
import torch
from click.testing import CliRunner

from zoo_core import OfflineData, ZooError, resolve
from zoo_core.cli import cli
from zoo_leaderboard import figures
from zoo_leaderboard.figures import bandits, guidance


@pytest.fixture
def short(monkeypatch):
    """Every training takes ten steps, whatever a picture asks for."""
    algorithms = []

    def trained(algorithm, data, seed, *settings):
        kept = [s for s in settings if not s.partition("=")[0].endswith("steps")]
        algorithms.append(algorithm)
        assert isinstance(data, OfflineData)
        return bandits.trained(algorithm, data, seed, *kept, "steps=10")

    for name in figures.FIGURES:
        module = importlib.import_module(f"zoo_leaderboard.figures.{name.replace('-', '_')}")
        monkeypatch.setattr(module, "trained", trained)
        monkeypatch.setattr(module, "SEEDS", 1, raising=False)
        monkeypatch.setattr(module, "STEPS", (2,), raising=False)
        monkeypatch.setattr(module, "BETAS", (3.0,), raising=False)
        monkeypatch.setattr(module, "POINTS", 64, raising=False)
    return algorithms


DRAWN = {
    "modes": {"bc_deterministic", "bc", "diffusion_bc"},
    "denoising-steps": {"diffusion_bc", "diffusion_ql"},
    "guidance": {"qgpo"},
    "q-values": {"sac_off", "cql"},
}


@pytest.mark.parametrize("name", list(figures.FIGURES))
def test_each_picture_is_drawn_from_its_algorithms(name, short, tmp_path):
    path = figures.draw(name, tmp_path / "new" / f"{name}.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert set(short) == DRAWN[name]


def test_guidance_learns_the_energies_that_exact_draws_are_weighed_by():
    assert resolve("qgpo", list(guidance.SETTINGS)).config.reward == "none"


def test_the_command_lists_and_refuses():
    listed = CliRunner().invoke(cli, ["figure"])
    assert all(name in listed.output for name in figures.FIGURES)
    unknown = CliRunner().invoke(cli, ["figure", "mode"])
    assert unknown.exit_code != 0
    assert "did you mean 'modes'" in str(unknown.exception) + unknown.output


def test_a_place_that_cannot_be_written_is_named(short, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="cannot write the figure"):
        figures.draw("modes", tmp_path / "file" / "modes.png")


def test_a_bandit_is_episodes_of_one_step():
    data = bandits.bandit(torch.zeros(3, 2), torch.arange(3.0))
    assert len(data) == 3
    assert bool(data.terminations.all())
    assert data.episode_returns().tolist() == [0.0, 1.0, 2.0]
