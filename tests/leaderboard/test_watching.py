"""Videos of policies: real frames, and lines where there can be none."""

import builtins
import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest

from zoo_core import Agent, Space, resolve
from zoo_core.cli import main
from zoo_core.errors import ZooError
from zoo_leaderboard import evaluate
from zoo_leaderboard.policies import watching
from zoo_leaderboard.policies.watching import watch

PENDULUM = "test/pendulum-v0"


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """The file of an untrained policy, and its dataset."""
    from zoo_leaderboard.datasets.embedded.builder import write
    from zoo_leaderboard.datasets.embedded.pendulum import BUILDER, episodes

    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    folder = tmp_path / "home" / "datasets" / PENDULUM
    folder.mkdir(parents=True)
    small = replace(BUILDER, id=PENDULUM, episodes=lambda: itertools.islice(episodes(), 1))
    write(small, folder / "data")
    Agent(resolve("bc", ["sampler.hidden=8"]), Space(3, 1)).save(tmp_path / "policy.pt")
    return tmp_path / "policy.pt"


def packages():
    pytest.importorskip("imageio_ffmpeg")
    pytest.importorskip("pygame")


def test_the_video_shows_the_episode_that_an_evaluation_plays(policy, tmp_path, monkeypatch):
    packages()
    import imageio.v2 as imageio

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    seen = watch(policy, tmp_path / "out.mp4", dataset=PENDULUM, seed=5, act="sample")
    assert seen.lengths == (200,)
    played = evaluate(policy, episodes=1, dataset=PENDULUM, seed=5, act="sample")
    assert seen.returns == pytest.approx(played.returns)
    with imageio.get_reader(tmp_path / "out.mp4") as reader:
        about = reader.get_meta_data()
        frames = [frame for i, frame in enumerate(reader) if i in (0, 20)]
        assert reader.count_frames() == 201
    assert about["fps"] == 30 and about["size"] == (500, 500)
    assert all(np.ptp(frame) > 100 for frame in frames)
    assert np.abs(frames[0].astype(float) - frames[1]).max() > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out.mp4", "policy.pt"]


def test_the_command_says_what_is_seen(policy, tmp_path, capsys, monkeypatch):
    packages()

    def play(dataset, act, episode, protocol, add):
        env = dataset.make_env("rgb_array")
        env.reset(seed=0)
        add(env.render())
        return float(protocol.seed + episode), 1

    monkeypatch.setattr(watching, "_play", play)
    monkeypatch.setenv("MUJOCO_GL", "egl")
    out = tmp_path / "out.mp4"
    options = ["--dataset", PENDULUM, "--episodes", "2", "--seed", "3", "--out", str(out)]
    with pytest.raises(SystemExit) as stopped:
        main(["watch", str(policy), *options])
    assert not stopped.value.code
    printed = capsys.readouterr().out
    assert f"bc (mode) on {PENDULUM}" in printed
    assert "4 frames at 30 a second; return 3.0, 4.0" in printed


def test_what_cannot_be_shown_is_said_in_a_line(policy, tmp_path, monkeypatch):
    out = tmp_path / "out.mp4"
    with pytest.raises(ZooError, match=r"ends in \.mp4"):
        watch(policy, tmp_path / "out.avi", dataset=PENDULUM)
    with pytest.raises(ZooError, match="no folder"):
        watch(policy, tmp_path / "nowhere" / "out.mp4", dataset=PENDULUM)
    packages()

    def fails(error):
        def render(self):
            raise error

        monkeypatch.setattr("gymnasium.envs.classic_control.PendulumEnv.render", render)
        with pytest.raises(ZooError) as refused:
            watch(policy, out, dataset=PENDULUM)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    from gymnasium.error import DependencyNotInstalled

    assert "zoo-leaderboard[video]" in fails(DependencyNotInstalled("pygame is not installed"))
    other = fails(DependencyNotInstalled("no Box2D; run `pip install gymnasium[box2d]`"))
    assert "gymnasium[box2d]" in other and "zoo-leaderboard" not in other
    assert "MUJOCO_GL=egl" in fails(RuntimeError("no display\nat all"))
    assert not out.exists()
    monkeypatch.setattr(
        "gymnasium.envs.classic_control.PendulumEnv.metadata", {"render_modes": ["human"]}
    )
    with pytest.raises(ZooError, match="renders no pictures"):
        watch(policy, out, dataset=PENDULUM)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "policy.pt"]


def test_without_the_extra_the_line_says_what_to_install(policy, tmp_path, monkeypatch):
    real = builtins.__import__
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg", raising=False)

    def without(name, *rest, **options):
        if name.partition(".")[0] == "imageio_ffmpeg":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ZooError, match=r"pip install 'zoo-leaderboard\[video\]'"):
        watch(policy, tmp_path / "out.mp4", dataset=PENDULUM)
