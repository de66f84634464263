"""Stores of several machines as one: records with their policies, and plans.

A key is a hash of all that decides a run, so that what two stores have under one key is the same
run. Equal results of it are one run, regardless of when, how fast and on which machine it was done;
where the results differ, only the user can say which ones count.

The other stores may be somebody else's: a record is copied only if its key and place are those of
its contents, and neither a link that leads out of its store nor a pipe is read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo_core.errors import ZooError
from zoo_core.text import printable
from zoo_leaderboard.fingerprint import digest
from zoo_leaderboard.result import TRACK_NAME, Cell, Result
from zoo_leaderboard.store.foreign import foreign
from zoo_leaderboard.store.names import RESULTS, agent_name, is_record
from zoo_leaderboard.store.records import Damaged, parse
from zoo_leaderboard.store.store import Store


@dataclass
class Merged:
    """Summary of what a merge did, or would do in a dry run."""

    copied: int = 0
    """Records that the target did not have."""
    replaced: int = 0
    """Records of the target that gave way: failed ones to finished ones, damaged ones to any."""
    same: int = 0
    """Records that the target had."""
    kept: int = 0
    """Failed records that were left, as the target already has a record."""
    planned: int = 0
    """Cells that the target's plans did not have."""
    conflicts: list[str] = field(default_factory=list)
    """A line for every run that both finished with different results; the target's stays."""
    damaged: list[Damaged] = field(default_factory=list)
    """Records, policies and plans of the sources that were not copied."""

    @property
    def ok(self) -> bool:
        """Whether the user has nothing to decide."""
        return not self.conflicts


def merge(sources: Sequence[Store], target: Store, *, dry_run: bool = False) -> Merged:
    """Copies records missing from a store from others. No score is lost or overwritten.

    Args:
        sources: Stores that are only read.
        target: The store that grows.
        dry_run: Whether to only report what would be done.

    Raises:
        ZooError: a source is no store, or is the target; the target cannot be written.
    """
    for source in sources:
        source.check_exists()
        if source.identity == target.identity:
            raise ZooError(f"the store {source} cannot be merged into itself")
    if not dry_run:
        target.check_writable()
    merging = _Merging(target, dry_run)
    for source in sources:
        merging.add(source)
    return merging.merged


class _Merging:
    def __init__(self, target: Store, dry_run: bool) -> None:
        self.target, self.dry_run = target, dry_run
        self.merged = Merged()
        self.there = _names(target)
        self.would_be: dict[str, Result] = {}
        """Records that a dry run would have written so far."""
        self.tracks: dict[str, dict[Cell, str]] = {}
        """Runs of a source's tracks whose record in the target names another track."""

    def add(self, source: Store) -> None:
        here = _names(source)
        unsafe = foreign(source.files.folder, here) if source.files.folder else {}
        self.merged.damaged += [source.damaged(name, unsafe[name]) for name in sorted(unsafe)]
        here -= set(unsafe)
        records = sorted(name for name in here if is_record(name))
        for name, content in source.files.read_all(records):
            found, policy = _checked(source, name, content), agent_name(name) in here
            if isinstance(found, Damaged):
                self.merged.damaged.append(found)
            elif self._wanted(source, name, found, policy) and not self.dry_run:
                assert isinstance(content, bytes)
                self._copy(source, name, content, policy)
        self._add_plans(source)

    def _wanted(self, source: Store, name: str, found: Result, policy: bool) -> bool:
        """Whether the target is to have a record or its policy of the source."""
        own = self._own(name)
        if isinstance(own, Result) and (own == found or same_results(own, found)):
            self.merged.same += 1
            if own.track != found.track and TRACK_NAME.fullmatch(found.track):
                self.tracks.setdefault(found.track, {})[found.cell] = found.key
            return policy and agent_name(name) not in self.there
        if own is None:
            self.merged.copied += 1
        elif isinstance(own, Damaged):
            self.merged.replaced += 1
        elif found.failure is not None:
            self.merged.kept += 1
            return False
        elif own.failure is None:
            differ = "; ".join(_differences(found, own, str(source), str(self.target)))
            self.merged.conflicts.append(printable(f"{found.cell}, key {found.key}: {differ}"))
            return False
        else:
            self.merged.replaced += 1
        if self.dry_run:
            self.would_be[name] = found
        return True

    def _own(self, name: str) -> Result | Damaged | None:
        if name in self.would_be:
            return self.would_be[name]
        return self.target.read(name) if name in self.there else None

    def _copy(self, source: Store, name: str, content: bytes, policy: bool) -> None:
        agent = agent_name(name)
        with source.files.local(agent) if policy else contextlib.nullcontext() as path:
            if not self.target.add(name, content, path) and path and agent not in self.there:
                self.target.files.send(path, agent)
        self.there |= {name, agent} if policy else {name}

    def _add_plans(self, source: Store) -> None:
        for track in sorted({*source.plans.tracks(), *self.tracks}):
            own, plan = self.target.planned(track), source.plans.read(track)
            self.merged.damaged += plan.damaged
            asked = {**self.tracks.pop(track, {}), **plan.keys}
            new = {cell: key for cell, key in asked.items() if cell not in own}
            self.merged.planned += len(new)
            if new and not self.dry_run:
                self.target.remember(track, new)


def _names(store: Store) -> set[str]:
    return {listed.name for listed in store.files.list(RESULTS)}


def _checked(source: Store, name: str, content: bytes | Exception) -> Result | Damaged:
    """A record whose key is the hash of what it says, or what is wrong with it."""
    found = parse(content, source.files.full(name), name)
    if isinstance(found, Damaged) or isinstance(content, Exception):
        return found
    # As it was written: a record of an older version has fewer fields.
    if digest(json.loads(content)["ingredients"]) != found.key:
        return source.damaged(name, "its key is not the hash of its ingredients")
    if name != source.name(found.cell, found.key):
        return source.damaged(name, "its name is not that of a record")
    return found


def same_results(one: Result, other: Result) -> bool:
    """Whether two finished records of one run measured the same: equal returns and lengths of every
    episode, whatever reference scores were known to either."""
    if one.failure is not None or other.failure is not None:
        return False
    measured = _outcomes(one)
    return measured == _outcomes(other) and bool(measured or one.score == other.score)


def _outcomes(result: Result) -> dict[tuple[int, str], tuple[object, ...]]:
    """The episodes' returns and lengths, by step and way of acting."""
    return {(e.step, e.act): (e.returns, e.lengths) for e in result.evaluations}


def _differences(found: Result, own: Result, source: str, target: str) -> list[str]:
    """Differences of two finished records of one run, in a few words."""
    pairs: list[tuple[str, object, object]] = [("score", found.score, own.score)]
    for e, o in zip(found.evaluations, own.evaluations, strict=False):
        if (e.returns, e.lengths) != (o.returns, o.lengths):
            pairs.append((f"mean return at step {e.step}", e.mean_return, o.mean_return))
            break
    names = sorted({*found.machine, *own.machine})
    pairs += [(name, found.machine.get(name), own.machine.get(name)) for name in names]
    pairs += [("finished", found.times.finished_at, own.times.finished_at)]
    differ = [(name, a, b) for name, a, b in pairs if a != b]
    return [f"{n} {a} in {source}, {b} in {target}" for n, a, b in differ] or ["other episodes"]
