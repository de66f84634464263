"""A file of another library -> a dataset in the zoo's data folder."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from zoo_core.errors import UnknownName, ZooError
from zoo_core.precision import Changes
from zoo_core.text import printable
from zoo_leaderboard.datasets import embedded
from zoo_leaderboard.datasets.cache import cached
from zoo_leaderboard.datasets.environment import Environment, close
from zoo_leaderboard.datasets.expression import parse
from zoo_leaderboard.datasets.home import lock, minari_root, replacing, zoo_home
from zoo_leaderboard.datasets.importing import d3rlpy, flat, imitation, robomimic
from zoo_leaderboard.datasets.importing.container import opened
from zoo_leaderboard.datasets.importing.done_flags import (
    Terminals,
    suspicion,
    without_time_limits,
)
from zoo_leaderboard.datasets.importing.entries import DAMAGE, contents
from zoo_leaderboard.datasets.importing.episodes import Episodes, Log, cut, with_seams
from zoo_leaderboard.datasets.importing.observations import arranged
from zoo_leaderboard.datasets.importing.plant import ActionBounds, placeholder
from zoo_leaderboard.datasets.importing.rows import Rows, unfilled
from zoo_leaderboard.datasets.known import known_ids
from zoo_leaderboard.datasets.reading import Reader, Reading
from zoo_leaderboard.datasets.reference import Reference
from zoo_leaderboard.datasets.spaces import ActionScaling
from zoo_leaderboard.datasets.writing import Transitions, write_transitions

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

Layout = Literal["auto", "d4rl", "d3rlpy", "robomimic", "numpy"]
NO_BOUNDS = ActionBounds()
_CONTAINERS = {"numpy": "a numpy archive", "hdf5": "an HDF5 file"}


class Imported(NamedTuple):
    """A dataset that `zoo_leaderboard.datasets.find` now finds."""

    id: str
    data_path: Path
    """Its `data` folder in Minari's format."""
    episodes: int
    steps: int
    log: Log
    """Information that the file lacks, and how the import handled it."""


def import_file(
    path: Path | str,
    id: str,
    environment: str | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    bounds: ActionBounds = NO_BOUNDS,
    reference: Reference | None = None,
    layout: Layout = "auto",
    terminals: Terminals | None = None,
    subset: str | None = None,
    replace: bool = False,
) -> Imported:
    """Reads a file and writes it as a dataset in Minari's format into the zoo's data folder.

    The dataset appears by one rename, under a lock, after all of it was read and checked.

    Args:
        path: An HDF5 file of D4RL, d3rlpy or robomimic, or a numpy archive (`.npz`).
        id: Id of the new dataset, such as `mine/hopper/medium-v0`.
        environment: Gymnasium id of the logged environment, such as `Hopper-v5`. If None, the
            dataset has no environment, and policies trained on it have no score.
        kwargs: Arguments of the environment.
        bounds: Action bounds, if there is no environment. Default: those of the file.
        reference: Returns that score 0 and 100. Default: D4RL's of that environment, if any.
        layout: Layout of the file; `auto` detects it.
        terminals: The meaning of the file's terminals: `done` if they include time limits, as in
            old Gym. If None, terminations, with a note in the log where they look like `done`.
        subset: A `mask` filter of a robomimic file, such as `train`. If None, all of it.
        replace: Whether an earlier import under this id is replaced.

    Raises:
        ZooError: a file that is missing, damaged, empty or of no known layout; NaN; shapes or
            action bounds that are not the environment's; an id that is taken.
    """
    file = Path(path)
    for label, value, known in (("layout", layout, Layout), ("terminals", terminals, Terminals)):
        if value is not None and value not in get_args(known):
            raise UnknownName(label, value, get_args(known))
    with _named(file):
        folder = _place(id, replace)
        if reference is not None:
            _check_reference(reference)
        rows, log = _read(file, layout, subset)
        if (zeros := unfilled(rows)) > 1:
            log.notes.append(
                f"the last {zeros:,} rows are zeros: if the file is a replay buffer that was not "
                "full, save its filled rows alone"
            )
        env, spec = _target(environment, kwargs, bounds, rows, log)
        try:
            rows = _with_true_terminations(with_seams(rows, log), log, env, terminals)
            transitions = _checked(cut(rows, log), log, env, id)
            reading = _reading(id, env, transitions)
            log.notes += [note for note in reading.notes if note not in log.notes]
            metadata = _metadata(id, file, log, reference)
            with lock(f"datasets/{id}"):
                _place(id, replace)
                with replacing(folder) as fresh:
                    write_transitions(fresh / "data", env, transitions, metadata, spec)
            cached(id, folder / "data", lambda: reading)
        finally:
            close(env)
    episodes, steps = len(transitions.lengths), len(transitions.rewards)
    return Imported(id, folder / "data", episodes, steps, log)


def _reading(id: str, env: gymnasium.Env[Any, Any], transitions: Transitions) -> Reading:
    """The data that the first use would read from the new file."""
    reader = Reader(id, env.observation_space, ActionScaling.of(id, env.action_space))
    reader.add(transitions)
    return reader.reading()


def _target(
    environment: str | None,
    kwargs: Mapping[str, Any] | None,
    bounds: ActionBounds,
    rows: Rows,
    log: Log,
) -> tuple[gymnasium.Env[Any, Any], EnvSpec | None]:
    """The environment that the transitions must fit, and its specification to store.

    Raises:
        ZooError: the environment cannot be made, or the options contradict each other.
    """
    if environment is None:
        if kwargs:
            raise ZooError("arguments are an environment's; name it with --environment")
        return placeholder(rows, log, bounds), None
    if bounds != NO_BOUNDS:
        raise ZooError("the environment has bounds of the actions; leave out --action-low/high")
    found = Environment.named(environment, kwargs).portable()
    return found.make_raw(), found.gymnasium_spec()


def _place(id: str, replace: bool) -> Path:
    """The folder of a new dataset.

    Raises:
        ZooError: the id is malformed or taken.
    """
    terms = parse(id).terms
    if len(terms) != 1 or terms[0].id != id:
        raise ZooError(f"'{id}' is an expression; an id looks like 'mine/hopper/medium-v0'")
    if id in embedded.IDS or id in known_ids():
        raise ZooError(f"'{id}' is the id of a public dataset; choose another, such as 'mine/{id}'")
    home = zoo_home() / "datasets"
    for root in (home, minari_root()):
        folder = root / id
        taken = folder.is_dir() and any(folder.iterdir())
        if taken and not (replace and root == home and (folder / "data").is_dir()):
            hint = "; --replace replaces it" if root == home and not replace else ""
            raise ZooError(f"there is a dataset or a folder of datasets '{folder}'{hint}")
    for parent in (home / id).parents:
        if parent == home:
            break
        if (parent / "data" / "metadata.json").exists():
            raise ZooError(f"'{parent.relative_to(home)}' is a dataset; '{id}' cannot be below it")
    return home / id


def _check_reference(reference: Reference) -> None:
    if not math.isfinite(reference.max - reference.min) or reference.max <= reference.min:
        raise ZooError("reference scores are two finite returns, the greater one for 100")


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Names the file in an error."""
    name = printable(file.name, 40)
    try:
        yield
    except ZooError as error:
        raise ZooError(f"'{name}' was not imported: {error}") from None
    except OSError as error:
        raise ZooError(f"'{name}' was not imported: {error.strerror or error}") from None


def _read(file: Path, layout: Layout, subset: str | None) -> tuple[Rows, Log]:
    with opened(file) as (content, container):
        chosen = _layout(content, container) if layout == "auto" else layout
        log = Log(chosen)
        if (chosen == "numpy") != (container == "numpy"):
            raise ZooError(f"it is {_CONTAINERS[container]}, which cannot have the layout {chosen}")
        if subset is not None and chosen != "robomimic":
            raise ZooError(f"only robomimic's files have filters; this one is read as {chosen}'s")
        try:
            if chosen == "robomimic":
                return robomimic.read(content, log, subset), log
            if chosen == "d3rlpy":
                return d3rlpy.read(content, log), log
            if container == "numpy" and imitation.fits(content):
                return imitation.read(content, log), log
            return flat.read(content, log), log
        except (*DAMAGE, TypeError, AttributeError):
            raise ZooError(f"it is damaged, or not a file in the layout {chosen}") from None


def _layout(content: Mapping[str, Any], container: str) -> Layout:
    """The layout of an open file, by its names.

    Raises:
        ZooError: none that the zoo reads.
    """
    if container == "numpy":
        return "numpy"
    if d3rlpy.fits(content):
        return "d3rlpy"
    if robomimic.fits(content):
        return "robomimic"
    if flat.fits(content):
        return "d4rl"
    if "episode_0" in content:
        raise ZooError(
            "it is the main_data.hdf5 of a Minari dataset, which needs no import: put its folder "
            "'data', with metadata.json, below MINARI_DATASETS_PATH under the dataset's id"
        )
    raise ZooError(f"it is HDF5 in no layout that the zoo reads; it has {contents(content)}")


def _with_true_terminations(
    rows: Rows, log: Log, env: gymnasium.Env[Any, Any], terminals: Terminals | None
) -> Rows:
    """The rows without time limits among their terminations, as far as that is known."""
    limit = env.spec.max_episode_steps if env.spec else None
    if terminals == "done" or (terminals is None and log.only_ends):
        mended = without_time_limits(rows, limit)
        count = int((rows.terminations & ~mended.terminations).sum())
        if count:
            log.notes.append(f"{count:,} ends at the time limit are truncations, not terminations")
        return mended
    note = None if terminals else suspicion(rows, limit, log.terminals)
    log.notes += [note] if note else []
    return rows


def _checked(episodes: Episodes, log: Log, env: gymnasium.Env[Any, Any], id: str) -> Transitions:
    """Transitions as Minari stores them, checked against the environment.

    Raises:
        ZooError: they do not fit.
    """
    stops = np.cumsum(episodes.lengths)
    extra = np.arange(len(stops)) + 1
    for name, array, ends in (
        ("observations", episodes.observations, stops + extra),
        ("actions", episodes.actions, stops),
        ("rewards", episodes.rewards, stops),
        ("goals", episodes.goals, stops + extra),
    ):
        if array is not None and not np.isfinite(array).all():
            row = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(1)))
            raise ZooError(f"{_episode(row, ends)} has NaN or infinity among its {name}")
    # Of the file's own numbers: the environment's dtype may be what merges them.
    changes = Changes("observation")
    changes.add(episodes.observations)
    log.notes += changes.notes(id)
    last = np.zeros(len(episodes.rewards), bool)
    last[stops - 1] = True
    terminations = last.copy()
    terminations[last] = episodes.terminated
    return Transitions(
        arranged(episodes, log, env.observation_space),
        _actions(episodes.actions, stops, env, id),
        episodes.rewards.astype(np.float64),
        terminations,
        last & ~terminations,
        episodes.lengths,
    )


def _actions(actions: Any, stops: Any, env: gymnasium.Env[Any, Any], id: str) -> Any:
    """[N, A] within the environment's bounds; rounding beyond them is clipped."""
    space: Any = env.action_space
    scaling = ActionScaling.of(id, space)
    name = env.spec.id if env.spec else "its actions"
    if actions.shape[1] != len(scaling.low):
        raise ZooError(f"it has {actions.shape[1]} action values, {name} {len(scaling.low)}")
    if excess := scaling.excess(actions):
        row = int(np.abs(scaling.to_unit(actions)).max(1).argmax())
        raise ZooError(
            f"{_episode(row, stops)} has actions that leave the bounds of {name}, "
            f"{_numbers(scaling.low)} to {_numbers(scaling.high)}, by {excess:.3g} of half of it"
        )
    return np.clip(actions, space.low, space.high).astype(space.dtype)


def _episode(row: int, stops: Any) -> str:
    """Names the episode of a row, of episodes that stop before the rows `stops`."""
    return f"episode {int(np.searchsorted(stops, row, side='right')):,}"


def _numbers(bounds: Sequence[float] | Any) -> str:
    values = {f"{bound:g}" for bound in bounds}
    return values.pop() if len(values) == 1 else f"[{', '.join(f'{bound:g}' for bound in bounds)}]"


def _metadata(id: str, file: Path, log: Log, reference: Reference | None) -> dict[str, Any]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    found: dict[str, Any] = {
        "dataset_id": id,
        "description": f"Imported from {printable(file.name)}, in the layout of {log.layout}.",
        "imported_from": file.name,
        "imported_sha256": digest,
    }
    if reference is not None:
        found["ref_min_score"] = reference.min
        found["ref_max_score"] = reference.max
        found["ref_source"] = reference.source
    return found
