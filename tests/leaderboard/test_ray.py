"""The leaderboard on a real Ray cluster: several node processes of this machine."""

import signal
import subprocess
import sys
import time

import pytest
from worlds import BANDIT

import zoo_leaderboard
from zoo_core import ZooError
from zoo_leaderboard.planning import plan
from zoo_leaderboard.result import Protocol
from zoo_leaderboard.running import ray as engine
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.running.ray import Ray
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

TRACK = Track(
    name="spread",
    summary="made up",
    datasets=[BANDIT],
    seeds=[0],
    protocol=Protocol(episodes=2, evaluations=2),
    defaults={"steps": 100, "batch_size": 16},
)
NODE = {"object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture
def cluster(world, monkeypatch):
    """A cluster whose head runs no job; tests add nodes."""
    pytest.importorskip("ray", reason="zoo-leaderboard[ray] is not installed")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # What else this machine does is no reason to kill workers.
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    yield found
    found.shutdown()


class Watching(Display):
    """Keeps what it is told, and does something once at a step."""

    def __init__(self, step=0, act=lambda: None):
        self.step, self.act = step, act
        self.begun, self.again, self.steps = [], [], []

    def started(self, job):
        self.begun.append(job.cell.algorithm)

    def retried(self, job, reason):
        self.again.append(reason)

    def progress(self, job, progress):
        self.steps.append(progress.step)
        if self.act and progress.step >= self.step:
            act, self.act = self.act, None
            act()


def test_jobs_run_on_a_node_and_fail_as_they_do_here(world, cluster):
    cluster.add_node(num_cpus=1, **NODE)
    store, display = Store(world / "runs"), Watching()
    options = {"store": store, "engine": Ray(cluster.address)}
    names = ["steady", "raises"]
    summary = zoo_leaderboard.run(TRACK, algorithms=names, display=display, **options)
    assert summary.finished == 1
    found = {result.cell.algorithm: result for result in store.load()[0]}
    assert found["steady"].score is not None
    assert found["steady"].times.attempts == 1
    assert "misbehave" in found["raises"].failure.traceback
    assert store.root.joinpath(store.name(found["steady"].cell, found["steady"].key)).exists()
    assert store.agent_path(found["steady"].cell, found["steady"].key).exists()
    assert not store.unfinished(found["steady"].key).exists()
    assert sorted(display.begun) == sorted(names)
    assert max(display.steps) == 100

    # What is finished or failed by its own fault needs no cluster any more.
    nowhere = {"store": store, "engine": Ray("127.0.0.1:1")}
    again = zoo_leaderboard.run(TRACK, algorithms=["steady", "raises"], **nowhere)
    assert (again.finished, again.already, len(again.failures)) == (0, 1, 1)


@pytest.mark.slow
def test_what_a_dead_node_did_goes_on_at_another_from_its_checkpoint(world, cluster):
    victim = cluster.add_node(num_cpus=1, **NODE)
    store = Store(world / "runs")

    def kill():
        cluster.remove_node(victim, allow_graceful=False)
        cluster.add_node(num_cpus=1, **NODE)

    display = Watching(60, kill)
    options = {"store": store, "engine": Ray(cluster.address), "display": display}
    settings = {"delay": 0.05}
    summary = zoo_leaderboard.run(
        TRACK, algorithms=["steady"], seeds=(0, 1), settings=settings, **options
    )
    assert summary.finished == 2
    assert summary.ok
    assert len(display.again) == 1
    assert "worker or node died" in display.again[0]
    results, damaged = store.load()
    assert damaged == []
    assert sorted(result.times.attempts for result in results) == [1, 2]
    for result in results:
        assert [e.step for e in result.evaluations] == [0, 50, 100]
        assert not store.unfinished(result.key).exists()
    # It went on at the evaluation before its end, and not from the beginning.
    end = next(i for i, step in enumerate(display.steps) if step >= 60)
    assert 50 in display.steps[end + 1 :]


@pytest.mark.slow
def test_nodes_that_keep_dying_cost_the_job_and_not_the_run(world, cluster):
    store = Store(world / "runs")
    nodes = [cluster.add_node(num_cpus=1, **NODE)]

    class Killing(Watching):
        def started(self, job):
            if job.cell.algorithm == "hangs":
                super().started(job)
                cluster.remove_node(nodes.pop(), allow_graceful=False)
                nodes.append(cluster.add_node(num_cpus=1, **NODE))

    display = Killing()
    summary = zoo_leaderboard.run(
        TRACK,
        algorithms=["hangs", "steady"],
        store=store,
        engine=Ray(cluster.address),
        display=display,
        workers=1,
        retries=1,
    )
    assert summary.finished == 1
    ((job, reason),) = summary.failures
    assert job.cell.algorithm == "hangs"
    assert reason.startswith("the job's worker or node died")
    assert reason.endswith(", 2 times")
    found = store.get(job.cell, job.key)
    assert found.failure.kind == "killed"
    assert len(display.begun) == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_ends_leaves_nothing_running_and_the_next_goes_on(world, cluster, number):
    cluster.add_node(num_cpus=1, **NODE)
    store = Store(world / "runs")
    (world / "spread.toml").write_text(
        f'name = "spread"\nsummary = "s"\nseeds = [0]\ndatasets = ["{BANDIT}"]\n'
        "[protocol]\nepisodes = 2\nevaluations = 2\n[defaults]\nsteps = 100\nbatch_size = 16\n"
    )
    command = [sys.executable, "-m", "zoo_core", "leaderboard", "run", "--track", "spread.toml"]
    command += ["--engine", "ray", "--address", cluster.address, "--set", "delay=0.1"]
    command += ["--algorithm", "steady", "--cpus", "1"]
    (job,) = plan(TRACK, algorithms=["steady"], settings={"delay": 0.1})
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as driver:
        wait_for(lambda: (store.unfinished(job.key) / "checkpoint.pt").exists(), driver)
        driver.send_signal(number)
        _, told = driver.communicate(timeout=300)
    if number == signal.SIGINT:
        assert "run the same command again to resume" in told
    wait_for(lambda: unlocked(store, job.key))
    assert store.get(job.cell, job.key) is None
    again = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    ((result,), damaged) = store.load()
    assert damaged == []
    assert result.times.attempts == 2
    assert [e.step for e in result.evaluations] == [0, 50, 100]


@pytest.mark.slow
def test_results_reach_a_bucket_and_failures_are_made_anew_on_request(world, s3, cluster):
    cluster.add_node(num_cpus=1, **NODE)
    store, display = Store(f"{s3}/runs"), Watching()
    options = {"store": store, "engine": Ray(cluster.address), "display": display}
    assert not zoo_leaderboard.run(TRACK, algorithms=["steady", "raises"], **options).ok
    found = {result.cell.algorithm: result for result in store.load()[0]}
    steady, failed = found["steady"], found["raises"]
    agent = store.name(steady.cell, steady.key).replace(".json", ".agent.pt")
    assert store.files.exists(agent)
    zoo_leaderboard.run(TRACK, algorithms=["raises"], retry_failed=True, **options)
    assert sorted(display.begun) == ["raises", "raises", "steady"]
    assert store.get(failed.cell, failed.key) != failed


def wait_for(condition, process=None, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the driver ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def unlocked(store, key):
    with store.lock(key) as mine:
        return mine


def test_a_cluster_that_cannot_be_reached_is_one_line(world):
    pytest.importorskip("ray", reason="zoo-leaderboard[ray] is not installed")
    with pytest.raises(ZooError, match=r"cannot reach a Ray cluster at 127\.0\.0\.1:1"):
        zoo_leaderboard.run(TRACK, algorithms=["steady"], engine=Ray("127.0.0.1:1"))


def test_without_ray_a_line_says_what_to_install(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ZooError, match=r"pip install 'zoo-leaderboard\[ray\]'"):
        zoo_leaderboard.run(TRACK, algorithms=["steady"], engine=Ray())


def test_a_node_that_does_not_see_the_store_says_so(world, monkeypatch):
    monkeypatch.setattr(engine, "VISIBLE_SECONDS", 0.0)
    (job,) = plan(TRACK, algorithms=["steady"])
    store = Store(world / "runs")
    with pytest.raises(ZooError, match="does not see the store"):
        engine._check_seen(store, job)
    store.remember("spread", {job.cell: job.key})
    engine._check_seen(store, job)
    engine._check_seen(Store("memory://elsewhere"), job)


def test_a_job_reserves_its_threads_and_an_accelerator_where_it_trains_on_one(world):
    (job,) = plan(TRACK, algorithms=["steady"], threads=2)
    cuda = job.model_copy(update={"device": "cuda"})
    assert Ray().needs(job) == {"num_cpus": 2, "num_gpus": 0.0}
    assert Ray().needs(cuda) == {"num_cpus": 2, "num_gpus": 1.0}
    assert Ray(cpus=4, gpus=0.25).needs(cuda) == {"num_cpus": 4, "num_gpus": 0.25}
