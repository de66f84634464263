"""A file of another library -> a dataset in the zoo's data folder."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from zoo_core.errors import ZooError
from zoo_leaderboard.datasets import embedded
from zoo_leaderboard.datasets.environment import Environment
from zoo_leaderboard.datasets.expression import parse
from zoo_leaderboard.datasets.home import lock, minari_root, replacing, zoo_home
from zoo_leaderboard.datasets.importing import archive, d3rlpy, d4rl
from zoo_leaderboard.datasets.importing.observations import arranged
from zoo_leaderboard.datasets.importing.recorded import Log, Recorded
from zoo_leaderboard.datasets.known import known_ids
from zoo_leaderboard.datasets.reference import Reference
from zoo_leaderboard.datasets.spaces import TOLERANCE, ActionScaling
from zoo_leaderboard.datasets.writing import Episode, write_episodes

if TYPE_CHECKING:
    import gymnasium

Layout = Literal["auto", "d4rl", "d3rlpy", "numpy"]


class Imported(NamedTuple):
    """A dataset that `zoo_leaderboard.datasets.find` now finds."""

    id: str
    data_path: Path
    """Its `data` folder in Minari's format."""
    episodes: int
    steps: int
    log: Log
    """What the file left unknown, and how that was met."""


def import_file(
    path: Path | str,
    id: str,
    environment: str,
    *,
    kwargs: Mapping[str, Any] | None = None,
    reference: Reference | None = None,
    layout: Layout = "auto",
    replace: bool = False,
) -> Imported:
    """Reads a file and writes it as a dataset in Minari's format into the zoo's data folder.

    The dataset appears by one rename, under a lock, after all of it was read and checked.

    Args:
        path: An HDF5 file of D4RL or d3rlpy, or a numpy archive (`.npz`).
        id: Of the new dataset, such as `mine/hopper/medium-v0`.
        environment: Gymnasium's id of what it was logged in, such as `Hopper-v5`.
        kwargs: Of the environment.
        reference: The returns that count as 0 and 100; none for D4RL's of that environment, if any.
        layout: Of the file; `auto` looks at it.
        replace: Whether an earlier import under this id is replaced.

    Raises:
        ZooError: a file that is missing, damaged, empty or of no known layout; NaN; shapes or
            action bounds that are not the environment's; an id that is taken.
    """
    folder = _place(id, replace)
    if reference is not None:
        _check_reference(reference)
    file = Path(path)
    with _told(file):
        log = _read(file, layout)
        env = Environment.named(environment, kwargs).portable().make_raw()
        try:
            episodes = [_episode(i, each, env, id) for i, each in enumerate(log.episodes)]
            if not episodes:
                raise ZooError("no transition is left whose successor is known")
            metadata = _metadata(id, file, log, reference)
            with lock(f"datasets/{id}"):
                _place(id, replace)
                with replacing(folder) as fresh:
                    write_episodes(fresh / "data", env, episodes, metadata)
        finally:
            env.close()
    return Imported(id, folder / "data", len(episodes), sum(len(e.rewards) for e in episodes), log)


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
def _told(file: Path) -> Iterator[None]:
    """Names the file in what went wrong."""
    try:
        yield
    except ZooError as error:
        raise ZooError(f"'{file}' was not imported: {error}") from None
    except OSError as error:
        raise ZooError(f"'{file}' was not imported: {error.strerror or error}") from None


def _read(file: Path, layout: Layout) -> Log:
    import h5py

    if not file.is_file():
        raise ZooError("there is no such file")
    try:
        if layout == "numpy" or (layout == "auto" and zipfile.is_zipfile(file)):
            with np.load(file, allow_pickle=False) as opened:
                if not isinstance(opened, np.lib.npyio.NpzFile):
                    raise ZooError("it is one array; save all of them with numpy.savez")
                return archive.read(opened)
        with h5py.File(file, "r") as opened:
            if layout == "d3rlpy" or (layout == "auto" and d3rlpy.fits(opened)):
                return d3rlpy.read(opened)
            if layout == "d4rl" or (layout == "auto" and d4rl.fits(opened)):
                return d4rl.read(opened)
            raise ZooError(
                f"its layout is neither D4RL's nor d3rlpy's; it holds {', '.join(sorted(opened))}"
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ZooError(f"it cannot be read, as HDF5 or as a numpy archive: {reason}") from None


def _episode(number: int, recorded: Recorded, env: gymnasium.Env[Any, Any], id: str) -> Episode:
    """An episode as Minari wants it, checked against the environment.

    Raises:
        ZooError: it does not fit.
    """
    where = f"episode {number}"
    for name, array in (
        ("observations", recorded.observations),
        ("actions", recorded.actions),
        ("rewards", recorded.rewards),
        ("goals", recorded.goals),
    ):
        if array is not None and not np.isfinite(array).all():
            raise ZooError(f"{where} has NaN or infinity among its {name}")
    last = np.arange(len(recorded.rewards)) == len(recorded.rewards) - 1
    return Episode(
        arranged(recorded, env.observation_space, where),
        _actions(recorded.actions, env, id, where),
        recorded.rewards.astype(np.float64),
        last & recorded.terminated,
        last & (not recorded.terminated),
    )


def _actions(actions: Any, env: gymnasium.Env[Any, Any], id: str, where: str) -> Any:
    """[T, A] within the environment's bounds; rounding beyond them is clipped."""
    space: Any = env.action_space
    scaling = ActionScaling.of(id, space)
    name = env.spec.id if env.spec else "the environment"
    if actions.shape[1] != len(scaling.low):
        raise ZooError(f"{where} has {actions.shape[1]} action values, {name} {len(scaling.low)}")
    beyond = float(np.abs(scaling.to_unit(actions)).max() - 1.0)
    if beyond > TOLERANCE:
        raise ZooError(
            f"{where} has actions that leave the bounds of {name}, "
            f"{_numbers(scaling.low)} to {_numbers(scaling.high)}, by {beyond:.3g} of half of it"
        )
    return np.clip(actions, space.low, space.high).astype(space.dtype)


def _numbers(bounds: Sequence[float] | Any) -> str:
    values = {f"{bound:g}" for bound in bounds}
    return values.pop() if len(values) == 1 else f"[{', '.join(f'{bound:g}' for bound in bounds)}]"


def _metadata(id: str, file: Path, log: Log, reference: Reference | None) -> dict[str, Any]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    found: dict[str, Any] = {
        "dataset_id": id,
        "description": f"Imported from {file.name}, a file in the layout of {log.layout}.",
        "imported_from": file.name,
        "imported_sha256": digest,
    }
    if reference is not None:
        found["ref_min_score"] = reference.min
        found["ref_max_score"] = reference.max
        found["ref_source"] = reference.source
    return found
