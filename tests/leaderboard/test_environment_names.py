"""Environments by every name that Gymnasium has for them, and why one cannot be made."""

from __future__ import annotations

import importlib
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from zoo_core.errors import ZooError
from zoo_leaderboard import datasets
from zoo_leaderboard.datasets import Environment
from zoo_leaderboard.datasets.importing import import_file

PACKAGE = """
import gymnasium, numpy as np, warnings
class Arm(gymnasium.Env):
    def __init__(self, length=1.0, joint=None, render_mode=None):
        self.length, self.joint = length, joint
        self.observation_space = gymnasium.spaces.Box(-9, 9, (2,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed); return np.zeros(2, np.float32), {}
    def step(self, action):
        return np.zeros(2, np.float32), float(self.length), False, False, {}
class Loud(Arm):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        warnings.warn("the arm is not calibrated")
class Needy(Arm):
    def __init__(self, **kwargs):
        raise gymnasium.error.DependencyNotInstalled("no simulator; run `pip install arm[sim]`")
class Asking(Arm):
    def __init__(self, **kwargs):
        raise ModuleNotFoundError("install the arm's driver.")
class Broken(Arm):
    def __init__(self, **kwargs):
        raise RuntimeError("the cable\\nis not plugged in")
def built(**kwargs): return Arm(**kwargs)
def scaled(**kwargs): return gymnasium.wrappers.TransformReward(Arm(**kwargs), lambda r: 4 * r)
R = gymnasium.register
R("Arm-v0", entry_point="robotpkg:Arm", max_episode_steps=5)
R("Arm-v1", entry_point="robotpkg:Arm", max_episode_steps=6, kwargs={"length": 2.0})
R("lab/Arm-v3", entry_point="robotpkg:Arm", max_episode_steps=5)
R("Plain", entry_point="robotpkg:Arm", max_episode_steps=5)
R("Class-v0", entry_point=Arm, max_episode_steps=5)
R("Function-v0", entry_point=built, max_episode_steps=5)
R("Lambda-v0", entry_point=lambda **k: Arm(length=3.0), max_episode_steps=5)
R("Scaled-v0", entry_point="robotpkg:scaled", max_episode_steps=5)
R("Joint-v0", entry_point="robotpkg:Arm", max_episode_steps=5, kwargs={"joint": np.sin})
R("Both-v0", entry_point="robotpkg:Arm", vector_entry_point=built, max_episode_steps=5)
R("Clipped-v0", entry_point="robotpkg:Arm", max_episode_steps=5, additional_wrappers=(
  gymnasium.wrappers.ClipReward.wrapper_spec(min_reward=-1.0, max_reward=0.5),))
R("Loud-v0", entry_point="robotpkg:Loud", max_episode_steps=5)
R("Needy-v0", entry_point="robotpkg:Needy")
R("Broken-v0", entry_point="robotpkg:Broken")
R("Moved-v0", entry_point="gymnasium.envs.moved:Arm")
R("Asking-v0", entry_point="robotpkg:Asking")
R("Adrift-v0", entry_point="robotpkg:Nowhere")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package that nothing has imported."""
    (tmp_path / "robotpkg.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """Unregisters the package, as if in a new process."""
    sys.modules.pop("robotpkg", None)
    for name in re.findall(r'R\("([^"]+)"', PACKAGE):
        gymnasium.registry.pop(name, None)


NAMES = {
    "robotpkg:Arm-v0": ("Arm-v0", 5, 1.0),
    "robotpkg:Arm": ("Arm-v1", 6, 2.0),
    "robotpkg:lab/Arm-v3": ("lab/Arm-v3", 5, 1.0),
    "robotpkg:Plain": ("Plain", 5, 1.0),
    "robotpkg:Class-v0": ("Class-v0", 5, 1.0),
    "robotpkg:Function-v0": ("Function-v0", 5, 1.0),
    "robotpkg:Lambda-v0": ("Lambda-v0", 5, 3.0),
    "robotpkg:Scaled-v0": ("Scaled-v0", 5, 4.0),
    "robotpkg:Joint-v0": ("Joint-v0", 5, 1.0),
    "robotpkg:Both-v0": ("Both-v0", 5, 1.0),
    "robotpkg:Clipped-v0": ("Clipped-v0", 5, 0.5),
}


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", NAMES)
def test_what_gymnasium_makes_is_named_and_made_by_other_processes(name: str) -> None:
    id, limit, reward = NAMES[name]

    def check(env: gymnasium.Env[Any, Any]) -> None:
        assert env.spec is not None
        assert (env.spec.id, env.spec.max_episode_steps) == (id, limit)
        env.reset(seed=0)
        assert [env.step(np.zeros(1))[1:4] for _ in range(limit)][-1] == (reward, False, True)

    check(Environment.named(name).make_raw())
    stored = json.dumps(Environment.named(name).portable().spec)
    forget()
    check(Environment(json.loads(stored)).make_raw())
    forget()
    check(gymnasium.make(EnvSpec.from_json(stored)))


def log_of(folder: Path) -> Path:
    ends = np.arange(20) % 5 == 4
    arrays = {"observations": np.random.default_rng(0).normal(size=(20, 2))}
    arrays |= {"actions": np.zeros((20, 1)), "rewards": np.ones(20)}
    np.savez(folder / "log.npz", **arrays, terminations=np.zeros(20, bool), truncations=ends)
    return folder / "log.npz"


@pytest.mark.parametrize("id", ["Arm-v0", "Lambda-v0", "Joint-v0", "Scaled-v0", "Clipped-v0"])
def test_an_import_is_found_and_evaluated_by_another_process(
    package: Path, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_HOME", str(package / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(package / "home" / "datasets"))
    name = f"robotpkg:{id}"
    import_file(log_of(package), "mine/arm-v0", name, kwargs={"render_mode": None})
    forget()
    env = datasets.find("mine/arm-v0").make_env()
    env.reset(seed=0)
    observation, reward, *_ = env.step(np.zeros(1, np.float32))
    assert observation.shape == (2,) and reward == NAMES[name][2]
    env.close()
    forget()
    assert minari.load_dataset("mine/arm-v0").recover_environment().action_space.shape == (1,)


def test_arguments_are_stored_as_json_has_them_or_refused(package: Path) -> None:
    made = Environment.named("robotpkg:Arm-v0", {"length": np.float32(2.5), "joint": np.arange(2)})
    assert made.portable().spec["kwargs"] == {"length": 2.5, "joint": [0, 1]}
    with pytest.raises(ZooError, match=r"argument 'joint'.*function"):
        Environment.named("robotpkg:Arm-v0", {"joint": forget}).portable()


def test_an_environment_of_a_script_is_refused_for_a_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def build() -> None: ...

    build.__module__ = "__main__"
    monkeypatch.setitem(gymnasium.registry, "Script-v0", EnvSpec("Script-v0", entry_point=build))
    with pytest.raises(ZooError, match="module:Script-v0"):
        Environment.named("Script-v0").portable()


def test_a_package_may_register_its_environments_as_a_plugin_of_gymnasium(package: Path) -> None:
    info = package / "robotpkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: robotpkg\nVersion: 1.0\n")
    points = "[gymnasium.envs]\nyard = robotpkg:register\nbroken = robotpkg:absent\n"
    (info / "entry_points.txt").write_text(points)
    with (package / "robotpkg.py").open("a") as file:
        file.write('def register(): R("Crane-v2", entry_point=Arm, max_episode_steps=3)\n')
    env = Environment.named("yard/Crane-v2").make_raw()
    gymnasium.registry.pop("yard/Crane-v2")
    assert env.spec is not None and env.spec.max_episode_steps == 3


def test_how_data_were_shown_does_not_decide_how_they_are_evaluated() -> None:
    spec = json.loads(gymnasium.spec("Pendulum-v1").to_json())
    recorder = {"entry_point": "gymnasium.wrappers.rendering:RecordVideo", "name": "RecordVideo"}
    spec["additional_wrappers"] = [{**recorder, "kwargs": {"video_folder": "videos"}}]
    env = Environment({**spec, "kwargs": {"render_mode": "human"}}).make_raw()
    assert env.render_mode is None
    assert not isinstance(env, gymnasium.wrappers.RecordVideo)


def test_an_id_without_version_is_the_latest() -> None:
    env = Environment.named("Pendulum").make_raw()
    assert env.spec is not None and env.spec.id == "Pendulum-v1"
    assert Environment.named("Pendulum").identity == Environment.named("Pendulum-v1").identity


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Pendulumm-v1", "`Pendulum`?"),
        ("Pendulum-v9", "`v9`"),
        ("nowhere/Pendulum-v1", "nowhere"),
        ("robotpkg:Leg-v0", "`Leg`"),
        ("no_such_package.arms:Arm-v0", "'no_such_package'"),
        ("robotpkg:Needy-v0", "pip install arm[sim]"),
        ("robotpkg:Broken-v0", "the cable is not plugged in"),
        ("robotpkg:Adrift-v0", "Nowhere"),
        ("robotpkg:Moved-v0", "No module named 'gymnasium.envs.moved'"),
        ("robotpkg:Asking-v0", "install the arm's driver"),
        ("not an id", "not an id"),
        ("a:b:c-v0", "'a:b"),
    ],
)
def test_what_cannot_be_made_says_why_in_its_own_words(name: str, words: str) -> None:
    with pytest.raises(ZooError) as caught:
        Environment.named(name).make_raw()
    text = str(caught.value)
    assert words in text and f"'{name}'" in text
    assert text.isprintable() and len(text) <= 260
    if "no_such_package" not in name:
        assert text.count("pip install") == words.count("pip install"), "no guess"


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "import = 3", "1 / 0"])
def test_a_package_that_fails_at_import_is_a_line(package: Path, text: str) -> None:
    (package / "robotpkg.py").write_text(text)
    importlib.invalidate_caches()
    with pytest.raises(ZooError, match="'robotpkg:Arm-v0' cannot be made") as caught:
        Environment.named("robotpkg:Arm-v0").make_raw()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("requirement", "unmet"),
    [("numpy>=1", False), ("numpy>=99", True), ("no-such-distribution", True), ("-e .", False)],
)
def test_requirements_that_are_not_installed_are_named(requirement: str, unmet: bool) -> None:
    with pytest.raises(ZooError) as caught:
        Environment({"id": "robotpkg:Broken-v0"}, (requirement,)).make_raw()
    assert (f'"{requirement}"' in str(caught.value)) == unmet


@pytest.mark.usefixtures("package")
def test_warnings_of_the_environment_are_shown_once_and_notices_of_others_are_not() -> None:
    from farama_notifications import notifications

    notifications["gymnasium_robotics"] = {"1.4.2": "another environment changed"}
    with pytest.warns(UserWarning, match="not calibrated") as seen:
        Environment.named("robotpkg:Loud-v0").make_raw()
    assert len(seen) == 1
    assert not notifications, "which gymnasium_robotics prints when it is imported"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Environment.named("robotpkg:Loud-v0").make_raw()
        Environment.named("Pendulum").make_raw()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ImportError('pyarrow is not installed. Please install it using `pip install "m[a]"`'),
            'pyarrow is not installed; pip install "m[a]"',
        ),
        (ImportError("no arms. Run pip install arms, then legs"), "no arms; pip install arms"),
        (
            ModuleNotFoundError("No module named 'absent.x'", name="absent.x"),
            "the package 'absent' is not installed",
        ),
        (
            ModuleNotFoundError("No module named 'h5py.x'", name="h5py.x"),
            "No module named 'h5py.x'",
        ),
        (ImportError("libGL.so.1: cannot open"), "libGL.so.1: cannot open"),
    ],
)
def test_a_hint_of_what_to_install_is_the_errors_own(error: Exception, text: str) -> None:
    from zoo_leaderboard.datasets.missing import missing_package

    found = missing_package(error)
    assert found == text


@pytest.mark.parametrize("id", ["a:b:Arm-v0", "x y:Arm-v0"])
def test_what_is_no_name_of_a_package_is_not_to_be_installed(id: str) -> None:
    with pytest.raises(ZooError, match=f"'{id}' cannot be made") as caught:
        Environment.named(id).portable()
    assert "pip install" not in str(caught.value)


def test_a_reason_of_several_parts_is_its_first(package: Path) -> None:
    (package / "robotpkg.py").write_text("raise ValueError('no licence', 'second')")
    importlib.invalidate_caches()
    with pytest.raises(ZooError, match=r"'robotpkg:Arm-v0' cannot be made: no licence$"):
        Environment.named("robotpkg:Arm-v0").make_raw()
