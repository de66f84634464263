"""The environment that a dataset was logged in, as policies are evaluated in it."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets.outcomes import reset_outcome, step_outcome
from zoo_leaderboard.datasets.spaces import ActionScaling, flatten_observation, observation_size

if TYPE_CHECKING:
    import gymnasium

Observation = NDArray[np.float32]

_ROBOTICS = ("AdroitHand", "AntMaze", "Fetch", "FrankaKitchen", "HandManipulate", "PointMaze")
"""What the ids of Gymnasium-Robotics begin with; importing it registers them."""

_PIP_NAMES = {
    "gymnasium_robotics": "gymnasium-robotics",
    "mujoco": "gymnasium[mujoco]",
    "minigrid": "minigrid",
    "metaworld": "metaworld",
    "zoo_leaderboard": "zoo-leaderboard",
}


@dataclass(frozen=True)
class Environment:
    """A Gymnasium environment specification and what it takes to install it."""

    spec: Mapping[str, Any]
    """Gymnasium's specification as JSON data: id, entry_point, kwargs, max_episode_steps, ..."""
    requirements: tuple[str, ...] = ()
    """What to pip install, from the dataset's metadata."""

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Environment | None:
        """The environment named by a dataset's metadata, or none.

        Minari's `eval_env_spec` wins over `env_spec`: the point mazes were logged without a time
        limit but are evaluated with one.
        """
        text = metadata.get("eval_env_spec") or metadata.get("env_spec")
        if not text:
            return None
        return cls(json.loads(text), tuple(metadata.get("requirements") or ()))

    @classmethod
    def named(
        cls,
        id: str,
        kwargs: Mapping[str, Any] | None = None,
        max_episode_steps: int | None = None,
    ) -> Environment:
        """A registered environment, by its id."""
        limit = {"max_episode_steps": max_episode_steps} if max_episode_steps else {}
        return cls({"id": id, "kwargs": dict(kwargs or {}), **limit})

    @property
    def id(self) -> str:
        """Gymnasium's id, such as `Hopper-v5`."""
        return str(self.spec["id"])

    @cached_property
    def identity(self) -> str:
        """What must be equal for two datasets to be joined: the id, arguments and time limit."""
        parts = (self.id, self.spec.get("kwargs") or {}, self.spec.get("max_episode_steps"))
        return json.dumps(parts, sort_keys=True)

    def make_raw(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """The environment with its own spaces.

        Args:
            render_mode: What its `render` gives, such as `rgb_array`; none for nothing.

        Raises:
            ZooError: a package is missing (the message names the pip install), or the environment
                cannot be made by the installed versions.
        """
        import gymnasium

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                # Not every environment takes the argument.
                shown: dict[str, Any] = {"render_mode": render_mode} if render_mode else {}
                return gymnasium.make(self._gymnasium_spec(), disable_env_checker=True, **shown)
            except (ModuleNotFoundError, gymnasium.error.DependencyNotInstalled) as error:
                raise ZooError(self._missing(error)) from None
            except Exception as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise ZooError(
                    f"environment '{self.id}' cannot be made: {reason} (try {self._pip()})"
                ) from error

    def _gymnasium_spec(self) -> Any:
        """An EnvSpec: as given if it has an entry point, else the registered one so changed."""
        import gymnasium
        from gymnasium.envs.registration import EnvSpec

        if not self.spec.get("entry_point"):
            if self.id.startswith(_ROBOTICS):
                gymnasium.register_envs(importlib.import_module("gymnasium_robotics"))
            elif self.id.startswith("zoo/"):
                importlib.import_module("zoo_leaderboard.datasets.embedded.bandit_env")
            spec = gymnasium.spec(self.id)
            changes = {k: v for k, v in self.spec.items() if k not in ("id", "kwargs")}
            fields = {**json.loads(spec.to_json()), **changes}
            fields["kwargs"] = {**spec.kwargs, **(self.spec.get("kwargs") or {})}
        else:
            fields = dict(self.spec)
        # Specifications written by older versions have fields that Gymnasium no longer knows.
        known = EnvSpec.__dataclass_fields__
        fields = {key: value for key, value in fields.items() if key in known}
        return EnvSpec.from_json(json.dumps({"additional_wrappers": [], **fields}))

    def _missing(self, error: Exception) -> str:
        package = getattr(error, "name", None) or "mujoco"
        return (
            f"environment '{self.id}' needs the package '{package.split('.')[0]}', which is not "
            f"installed; {self._pip(package)}"
        )

    def _pip(self, package: str | None = None) -> str:
        entry = str(self.spec.get("entry_point") or "").split(":")[0]
        module = (package or entry or "gymnasium").split(".")[0]
        wanted, name = [*self.requirements], _PIP_NAMES.get(module, module)
        if not wanted or (package and not any(each.startswith(name) for each in wanted)):
            wanted.append(name)
        return "pip install " + " ".join(f'"{each}"' for each in wanted)


def make_vector_env(
    environment: Environment,
    space: gymnasium.Space[Any],
    scaling: ActionScaling,
    name: str,
    render_mode: str | None = None,
) -> gymnasium.Env[Observation, Observation]:
    """The environment as policies see it: observations [O] float32 flattened by the dataset's
    space, actions [A] in [-1, 1].

    Raises:
        ZooError: it cannot be made, or its spaces are not the dataset's.
    """
    import gymnasium

    class VectorEnv(gymnasium.Wrapper[Observation, Observation, Any, Any]):
        """Flattens observations and scales actions."""

        def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
            super().__init__(env)
            size = observation_size(name, space)
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
            self.action_space = gymnasium.spaces.Box(-1.0, 1.0, scaling.low.shape, np.float32)
            self._dtype = env.action_space.dtype

        def reset(self, **options: Any) -> tuple[Observation, dict[str, Any]]:
            observation, info = reset_outcome(space, self.env.reset(**options))
            return flatten_observation(space, observation), dict(info)

        def step(
            self, action: Observation
        ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
            raw = scaling.from_unit(action).astype(self._dtype)
            outcome = step_outcome(space, self.env.step(raw))
            flat = flatten_observation(space, outcome.observation)
            return flat, outcome.reward, outcome.terminated, outcome.truncated, {**outcome.info}

    env = environment.make_raw(render_mode)
    try:
        _check(env, environment, space, scaling, name)
    except ZooError:
        env.close()
        raise
    return VectorEnv(env)


def _check(
    env: gymnasium.Env[Any, Any],
    environment: Environment,
    space: gymnasium.Space[Any],
    scaling: ActionScaling,
    name: str,
) -> None:
    """That the environment of today is the one that the data come from."""
    if ActionScaling.of(name, env.action_space) != scaling:
        raise ZooError(
            f"dataset '{name}' has other action bounds than environment '{environment.id}'; "
            f"install the version that it was logged with ({environment._pip()})"
        )
    sample = env.observation_space.sample()
    found = flatten_observation(space, sample).shape[-1]
    if found != observation_size(name, space):
        raise ZooError(
            f"dataset '{name}' has {observation_size(name, space)} observation values, "
            f"environment '{environment.id}' gives {found}; "
            f"install the version that it was logged with ({environment._pip()})"
        )
