"""Stores at URLs: in memory, in a folder named by a URL, and in an S3 that runs as a process."""

import contextlib
import re
import uuid

import pytest
from synthetic import synthetic
from worlds import BANDIT, zoo

import zoo_leaderboard
from zoo_core import ZooError
from zoo_leaderboard.result import Cell, Protocol, Result
from zoo_leaderboard.store import Damaged, Store, agent_name
from zoo_leaderboard.store.merge import merge
from zoo_leaderboard.track import Track

TRACK = Track(
    name="far",
    summary="made up",
    datasets=[BANDIT],
    seeds=[0],
    protocol=Protocol(episodes=2, evaluations=2),
    defaults={"steps": 100, "batch_size": 16},
)


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def place(request, tmp_path, monkeypatch):
    """A place of each kind, in which nothing is stored."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    if request.param == "s3":
        return request.getfixturevalue("s3") + "/runs"
    places = {
        "folder": str(tmp_path / "runs"),
        "file": f"file://{tmp_path}/runs",
        "memory": f"memory://{uuid.uuid4().hex}/runs",
    }
    return places[request.param]


def test_every_kind_of_place_keeps_results_the_same_way(place):
    with pytest.raises(ZooError, match=re.escape(f"no store at {Store(place)}")):
        Store(place).load()
    store = Store(place)
    store.check_writable()
    one = synthetic("bc", "0.5*a/b-v0+c-v1", 3, settings={"critic.hidden": 64})
    two, three = synthetic("bc", "a-v0", 0), synthetic("bc", "a-v0", 1)
    for result in (one, two, three):
        store.put(result)
        assert store.get(result.cell, result.key) == result
    assert store.get(one.cell, "0" * 32) is None
    # By another object, as another process would.
    store = Store(str(store))
    results, damaged = store.load()
    assert sorted(r.key for r in results) == sorted(r.key for r in (one, two, three))
    assert damaged == []
    listed = store.listing()
    assert [entry.name for entry in listed] == sorted(
        store.name(r.cell, r.key) for r in (one, two, three)
    )
    for entry in listed:
        assert entry.size == len(store.files.read(entry.name))
        assert isinstance(store.read(entry.name), Result)
    assert dict(store.read_all(e.name for e in listed))[listed[0].name] == store.read(
        listed[0].name
    )


def test_a_stamp_changes_with_the_content(place):
    store = Store(place)
    failed = synthetic("bc", "a-v0", 0, failure="first")
    store.put(failed)
    (before,) = store.listing()
    (same,) = store.listing()
    store.put(synthetic("bc", "a-v0", 0, failure="other"))
    (after,) = store.listing()
    assert before == same
    assert before.stamp != after.stamp
    assert (before.name, before.size) == (after.name, after.size)


def test_damage_is_named_and_moved_aside_in_every_place(place):
    store = Store(place)
    result = synthetic("bc", "a-v0", 0)
    name = store.name(result.cell, result.key)
    for content in (b"first", b"second"):
        store.files.write(name, content)
        found = store.get(result.cell, result.key)
        assert isinstance(found, Damaged)
        assert found.cell == result.cell
        assert found.place == store.files.full(name)
        assert store.load()[1] == [found]
        store.files.write(name, content)
        store.put(result)
        assert store.get(result.cell, result.key) == result
        # A finished record stays, so that the next round needs it gone.
        if content == b"first":
            store.files.move(name, "elsewhere")
    assert store.files.read(f"{name}.damaged") == b"first"
    assert store.files.read(f"{name}.damaged-2") == b"second"


def test_a_finished_record_is_never_replaced(place):
    store = Store(place)
    failed, first = synthetic("bc", "a-v0", 0, failure="x"), synthetic("bc", "a-v0", 0)
    second = synthetic("bc", "a-v0", 0, scores=(0.0, 99.0))
    assert failed.key == first.key == second.key
    store.put(failed)
    for later in (first, second, failed):
        store.put(later)
        assert store.get(first.cell, first.key) == first


def test_of_two_that_put_at_once_the_first_stays(place, monkeypatch):
    store = Store(place)
    first, second = synthetic("bc", "a-v0", 0), synthetic("bc", "a-v0", 0, scores=(0.0, 99.0))
    create = store.files.create

    def beaten(name, content):
        Store(place).put(first)
        return create(name, content)

    monkeypatch.setattr(store.files, "create", beaten)
    store.put(second)
    assert store.get(first.cell, first.key) == first


def test_plans_are_kept_in_every_place(place):
    store = Store(place)
    one, two = Cell(algorithm="a", dataset="d", seed=0), Cell(algorithm="a", dataset="d", seed=1)
    assert store.planned("demo") == {}
    assert store.plans.tracks() == []
    store.remember("demo", {one: "1", two: "2"})
    store.remember("demo", {one: "3"})
    assert Store(place).planned("demo") == {two: "2", one: "3"}
    assert store.plans.tracks() == ["demo"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://no-such-bucket/runs", "The specified bucket does not exist"),
        ("nonsense://x", "Protocol not known: nonsense"),
        ("http://localhost:1/runs", "cannot write to the store http://localhost:1/runs"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(s3, tmp_path, monkeypatch, url, reason):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    with pytest.raises(ZooError, match=re.escape(reason)) as caught:
        Store(url).check_writable()
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_told_by_its_extra(monkeypatch):
    import fsspec

    def missing(*arguments, **options):
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ZooError, match=r"pip install 'zoo-leaderboard\[gcs\]'"):
        Store("gs://bucket/runs")


def test_processes_do_not_share_a_memory(world):
    with pytest.raises(ZooError, match="memory://"):
        zoo_leaderboard.run(TRACK, algorithms=["steady"], store="memory://runs")


@pytest.mark.slow
def test_a_leaderboard_runs_into_a_bucket_and_its_table_comes_from_there(world, s3):
    url = f"{s3}/runs"
    (world / "far.toml").write_text(
        f'name = "far"\nsummary = "s"\nseeds = [0]\ndatasets = ["{BANDIT}"]\n'
        "[protocol]\nepisodes = 2\nevaluations = 2\n[defaults]\nsteps = 100\nbatch_size = 16\n"
    )
    options = ["--track", "far.toml", "--store", url]
    chosen = ["--algorithm", "steady", "--algorithm", "raises"]
    ran = zoo("leaderboard", "run", *options, *chosen, cwd=world)
    assert ran.returncode == 1, ran.stderr
    assert f"1 finished now, 0 before, 1 without a score; results in {url}" in ran.stdout
    store = Store(url)
    ((finished,), (failed,)) = (
        [r for r in store.load()[0] if r.status == status] for status in ("finished", "failed")
    )
    assert "the plugin's own mistake" in failed.failure.reason
    # Nothing but what belongs to a store is there, and no unfinished work of what is finished.
    agent = store.name(finished.cell, finished.key).replace(".json", ".agent.pt")
    assert store.files.exists(agent)
    assert {entry.name.partition("/")[0] for entry in store.files.list("")} == {"results", "plans"}
    assert not store.unfinished(finished.key).exists()
    assert not (world / "runs").exists()

    table = zoo("leaderboard", "table", *options, "--full", cwd=world)
    assert table.returncode == 0, table.stderr
    assert "steady" in table.stdout
    assert "the plugin's own mistake" in table.stdout.replace("\\", "")
    evaluated = zoo("evaluate", f"{url}/{agent}", "--episodes", "2", cwd=world)
    assert evaluated.returncode == 0, evaluated.stderr
    assert f"on {BANDIT}, 2 episodes" in evaluated.stdout

    # A merge takes all of it to another machine's folder, and back there is nothing to add.
    back = Store(world / "back")
    assert merge([store], back).copied == 2
    assert (back.root / agent).read_bytes() == store.files.read(agent)
    assert merge([back], store).same == 2
    assert zoo_leaderboard.load(back, "far.toml").table() in table.stdout
    again = zoo("leaderboard", "run", *options, "--algorithm", "steady", cwd=world)
    assert "1 runs: 1 finished, 0 to run" in again.stdout
    assert not (world / "far.png").exists()


class Machine:
    """A store as one of several machines has it, with its own unfinished work."""

    def __init__(self, url, home, result, policy):
        self.home, self.result = home, result
        with self.here():
            self.store = Store(url)
            folder = self.store.unfinished(result.key)
            folder.mkdir(parents=True)
            (folder / "agent.pt").write_bytes(policy)

    def here(self):
        context = pytest.MonkeyPatch.context()
        patch = context.__enter__()
        patch.setenv("ZOO_HOME", str(self.home))
        stack = contextlib.ExitStack()
        stack.push(context)
        return stack

    def put(self):
        with self.here():
            self.store.put(self.result)

    def settle(self):
        with self.here():
            self.store.settle(self.result.key)


@pytest.fixture(params=["memory", "s3"])
def machines(request, tmp_path):
    url = f"memory://{uuid.uuid4().hex}"
    if request.param == "s3":
        url = request.getfixturevalue("s3") + "/runs"
    first, second = synthetic("bc", "a-v0", 0), synthetic("bc", "a-v0", 0, (0.0, 99.0))
    return (
        Machine(url, tmp_path / "one", first, b"first policy"),
        Machine(url, tmp_path / "two", second, b"second policy"),
    )


def kept(machine):
    """The record of a store, and the policy next to it."""
    store, result = machine.store, machine.result
    policy = agent_name(store.name(result.cell, result.key))
    there = store.files.exists(policy)
    return store.get(result.cell, result.key), store.files.read(policy) if there else None


def test_the_policy_next_to_a_record_is_its_own_when_two_finish_one_after_the_other(machines):
    one, two = machines
    one.put()
    two.put()
    assert kept(one) == (one.result, b"first policy")


@pytest.mark.parametrize("step", ["create", "send"])
def test_the_policy_next_to_a_record_is_its_own_when_two_finish_at_once(
    machines, monkeypatch, step
):
    one, two = machines
    original = getattr(one.store.files, step)

    def late(*arguments):
        two.put()
        return original(*arguments)

    monkeypatch.setattr(one.store.files, step, late)
    one.put()
    winner = two if step == "create" else one
    assert kept(one) == (
        winner.result,
        b"second policy" if winner is two else b"first policy",
    )


@pytest.mark.parametrize("step", ["create", "send"])
def test_a_policy_follows_its_record_where_the_machine_died_between(machines, monkeypatch, step):
    one, two = machines
    with monkeypatch.context() as patch:
        patch.setattr(one.store.files, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            one.put()
    assert kept(one)[1] is None
    two.put()
    one.settle()
    two.settle()
    # Where the first one's record was not there yet, the second one's counts.
    winner, policy = (two, b"second policy") if step == "create" else (one, b"first policy")
    assert kept(one) == (winner.result, policy)
    assert not one.home.joinpath("stores").exists() or not list(one.home.rglob("agent.pt"))


def test_a_request_that_was_carried_out_without_an_answer_is_ours(machines, monkeypatch):
    one, _ = machines
    create = one.store.files.create

    def unanswered(name, content):
        create(name, content)
        return False

    monkeypatch.setattr(one.store.files, "create", unanswered)
    one.put()
    assert kept(one) == (one.result, b"first policy")


def test_who_clears_a_finished_job_sends_its_policy_first(machines, monkeypatch):
    one, _ = machines
    with monkeypatch.context() as patch:
        patch.setattr(one.store.files, "send", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            one.put()
    with one.here(), one.store.lock(one.result.key) as mine:
        assert mine
        one.store.clear(one.result.key)
    assert kept(one) == (one.result, b"first policy")
