"""The environment that a dataset was logged in, as policies are evaluated in it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.errors import ZooError
from zoo_core.text import printable
from zoo_leaderboard.datasets.missing import absent_package
from zoo_leaderboard.datasets.outcomes import reset_outcome, step_outcome
from zoo_leaderboard.datasets.registration import env_spec, portable, silence_notices
from zoo_leaderboard.datasets.spaces import ActionScaling, flatten_observation, observation_size
from zoo_leaderboard.datasets.task import Task, identity_of, task_of

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

Observation = NDArray[np.float32]

_PIP_NAMES = {"gymnasium_robotics": "gymnasium-robotics", "mujoco": "gymnasium[mujoco]"}
"""Distributions of modules that have another name."""
LONGEST_REASON = 160
"""Characters of Gymnasium's or the environment's exception that a message shows."""


@dataclass(frozen=True)
class Environment:
    """A Gymnasium environment specification and what it takes to install it."""

    spec: Mapping[str, Any]
    """Gymnasium's specification as JSON data: id, entry_point, kwargs, max_episode_steps, ..."""
    requirements: tuple[str, ...] = ()
    """Packages to pip install, from the dataset's metadata."""

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Environment | None:
        """The environment named by a dataset's metadata, or none.

        Minari's `eval_env_spec` wins over `env_spec`: the point mazes were logged without a time
        limit but are evaluated with one.
        """
        return cls._stored(metadata, "eval_env_spec") or cls.logged(metadata)

    @classmethod
    def logged(cls, metadata: Mapping[str, Any]) -> Environment | None:
        """The environment that a dataset was logged in, or none."""
        return cls._stored(metadata, "env_spec")

    @classmethod
    def _stored(cls, metadata: Mapping[str, Any], key: str) -> Environment | None:
        text = metadata.get(key)
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
        """A registered environment, by whatever id Gymnasium knows it: see
        :func:`~zoo_leaderboard.datasets.registration.registered`."""
        limit = {"max_episode_steps": max_episode_steps} if max_episode_steps else {}
        return cls({"id": id, "kwargs": dict(kwargs or {}), **limit})

    @property
    def id(self) -> str:
        """Gymnasium's id, such as `Hopper-v5`, or `module:Env-v0`."""
        return str(self.spec["id"])

    @cached_property
    def task(self) -> Task:
        """Everything that affects the scores of an evaluation in this environment."""
        return task_of(self.spec)

    @cached_property
    def identity(self) -> str:
        """The task as text, part of a result's key."""
        return identity_of(self.task)

    def portable(self) -> Environment:
        """The same environment, as any process that has its package can make it from JSON.

        Raises:
            ZooError: it cannot be made, or not by another process.
        """
        with self._made():
            return Environment(portable(self.spec), self.requirements)

    def gymnasium_spec(self) -> EnvSpec:
        """Gymnasium's specification of it.

        Raises:
            ZooError: it cannot be found.
        """
        with self._made():
            return env_spec(self.spec)

    def make_raw(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """The environment with its own spaces.

        Args:
            render_mode: Gymnasium's render mode, such as `rgb_array`. If None, no rendering.

        Raises:
            ZooError: a package is missing (the message names it), or the environment cannot be
                made by the installed versions.
        """
        import gymnasium

        with self._made():
            # Not every environment takes the argument.
            options: dict[str, Any] = {"render_mode": render_mode} if render_mode else {}
            return gymnasium.make(env_spec(self.spec), disable_env_checker=True, **options)

    @contextmanager
    def _made(self) -> Iterator[None]:
        """Reports why the environment cannot be made, in one line; drops what Gymnasium's own
        packages warn of meanwhile."""
        silence_notices()
        import gymnasium

        try:
            with _own_warnings():
                yield
        except ZooError:
            raise
        except gymnasium.error.DependencyNotInstalled as error:
            # Its text says what to install.
            raise ZooError(f"environment '{self.id}' cannot be made: {_line(error)}") from None
        except (Exception, SystemExit) as error:
            if isinstance(error, ImportError) and (package := absent_package(error)):
                raise ZooError(self._missing(package)) from None
            raise ZooError(
                f"environment '{self.id}' cannot be made: {_line(error)}{self.requirement_hint()}"
            ) from error

    def _missing(self, package: str) -> str:
        name = _PIP_NAMES.get(package, package)
        needed = [*self.requirements]
        if not any(each.startswith(name) for each in needed):
            needed.append(name)
        return (
            f"environment '{self.id}' needs the package '{package}', which is not installed; "
            f"pip install {_quoted(needed)}, or add the folder of your own package to PYTHONPATH"
        )

    def requirement_hint(self) -> str:
        """The requirements of the dataset that are not installed, as the end of a message; empty if
        all are."""
        unmet = [each for each in self.requirements if not _installed(each)]
        return f"; the dataset asks for {_quoted(unmet)}" if unmet else ""


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

        def __init__(self, env: gymnasium.Env[Any, Any], note: str) -> None:
            super().__init__(env)
            self.note = note
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
        note = _settle_statistics(env, name)
        _check(env, environment, space, scaling, name)
    except ZooError:
        close(env)
        raise
    return VectorEnv(env, note)


def layers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """An environment, each environment that it wraps, and the innermost last."""
    import gymnasium

    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def name_of(env: gymnasium.Env[Any, Any]) -> str:
    """The id of an environment, or its class's name."""
    base = getattr(env, "unwrapped", env)
    spec = getattr(base, "spec", None)
    return str(spec.id) if spec is not None else type(base).__name__


def close(env: gymnasium.Env[Any, Any]) -> str:
    """Closes an environment; returns a line if that fails, which costs no result."""
    try:
        env.close()
    except (Exception, SystemExit) as error:
        return f"environment '{name_of(env)}' failed to close: {reason(error)}"
    return ""


def reason(error: BaseException) -> str:
    """An environment's exception in one line."""
    text = printable(f"{type(error).__name__}: {error}", LONGEST_REASON).removesuffix(":")
    if isinstance(error, ValueError) and "values to unpack" in text:
        text += " (Gymnasium's reset returns 2 values and step 5; old Gym's 1 and 4)"
    return text


def _settle_statistics(env: gymnasium.Env[Any, Any], name: str) -> str:
    """Handles wrappers whose running statistics are those of the run that logged the data.

    `NormalizeReward` is switched off, so that returns are the environment's own; a line says so.

    Raises:
        ZooError: observations are normalised, by statistics that no dataset holds.
    """
    from gymnasium import wrappers

    note = ""
    for layer in layers(env):
        if isinstance(layer, wrappers.NormalizeObservation):
            raise ZooError(
                f"dataset '{name}' was logged behind NormalizeObservation, whose statistics it "
                "does not hold; log plain observations, or name an eval_env_spec in its metadata"
            )
        if isinstance(layer, wrappers.NormalizeReward):
            layer.update_running_mean, layer.epsilon = False, 0.0
            note = f"returns are before the NormalizeReward that '{name}' was logged behind"
    return note


def _check(
    env: gymnasium.Env[Any, Any],
    environment: Environment,
    space: gymnasium.Space[Any],
    scaling: ActionScaling,
    name: str,
) -> None:
    """Checks that the installed environment matches the one the data come from."""
    if ActionScaling.of(name, env.action_space) != scaling:
        raise ZooError(
            f"dataset '{name}' has other action bounds than environment '{environment.id}'; "
            f"install the version that it was logged with{environment.requirement_hint()}"
        )
    sample = env.observation_space.sample()
    found = flatten_observation(space, sample).shape[-1]
    if found != observation_size(name, space):
        raise ZooError(
            f"dataset '{name}' has {observation_size(name, space)} observation values, "
            f"environment '{environment.id}' gives {found}; "
            f"install the version that it was logged with{environment.requirement_hint()}"
        )


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Shows the warnings of the environment's own code once each, and not those of Gymnasium and
    of its robots: on versions, names and render modes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for each in caught:
        text = str(each.message)
        parts = Path(each.filename).parts
        if not _FARAMA.intersection(parts) and text not in _shown:
            _shown.add(text)
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


_FARAMA = frozenset({"gymnasium", "gymnasium_robotics"})
_shown: set[str] = set()


def _line(error: BaseException) -> str:
    text = str(error)
    if len(error.args) > 1 and text == str(error.args):
        text = str(error.args[0])
    return printable(text, LONGEST_REASON) or type(error).__name__


def _quoted(requirements: Sequence[str]) -> str:
    return " ".join(f'"{each}"' for each in requirements)


def _installed(requirement: str) -> bool:
    """Whether a requirement is met; one that cannot be read counts as met."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(requirement)
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        return False
    except InvalidRequirement:
        return True
