import json

import pytest
from synthetic import synthetic
from worlds import BANDIT, zoo

from zoo_core import ZooError
from zoo_leaderboard.audit.compare import compare, render
from zoo_leaderboard.audit.verify import prediction_interval, verify
from zoo_leaderboard.ranking import run
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

TRACK = Track(
    name="check",
    summary="",
    datasets=[BANDIT],
    defaults={"steps": 40},
    protocol={"episodes": 2, "evaluations": 2},
)
COMPARED = Track(name="demo", summary="made up", datasets=["a-v0", "b-v0"])


@pytest.fixture
def store(world):
    """Three finished runs."""
    found = Store(world / "runs")
    assert run(TRACK, algorithms=["draws"], seeds=range(3), store=found, workers=1).ok
    return found


def changed(store, **fields):
    """Changes every record of the store."""
    results, _ = store.load()
    for result in results:
        update = {name: make(result) for name, make in fields.items()}
        store.path(result.cell, result.key).write_text(
            result.model_copy(update=update).model_dump_json()
        )


def elsewhere(result):
    return {**result.machine, "processor": "another one"}


def test_runs_made_again_are_equal_bit_for_bit(store):
    checked = verify(TRACK, store, sample=2, workers=1)
    assert [found.verdict for found in checked] == ["same", "same"]
    assert len({found.run.key for found in checked}) == 2
    assert [found.again for found in checked] == [found.run.score for found in checked]
    # Nothing was written to the store.
    assert len(store.load()[0]) == 3


def test_a_record_that_was_altered_is_found(store):
    def better(result):
        last = result.evaluations[-1]
        returns = (last.returns[0] + 1e-9, *last.returns[1:])
        return (*result.evaluations[:-1], last.model_copy(update={"returns": returns}))

    changed(store, evaluations=better)
    (found,) = verify(TRACK, store, sample=1, workers=1)
    assert found.verdict == "differs"
    assert not found.ok
    assert "same machine and versions; first other at step 40" in found.note


@pytest.mark.slow
def test_another_machines_runs_must_lie_in_the_interval_of_the_seeds(store):
    def apart(difference):
        def evaluations(result):
            return tuple(
                e.model_copy(update={"returns": tuple(r + difference for r in e.returns)})
                for e in result.evaluations
            )

        return evaluations

    changed(store, machine=elsewhere, evaluations=apart(1e-7))
    (found,) = verify(TRACK, store, sample=1, workers=1)
    assert found.verdict == "within"
    assert "made with processor another one" in found.note
    changed(store, evaluations=apart(1e6))
    (found,) = verify(TRACK, store, sample=1, workers=1)
    assert found.verdict == "differs"


@pytest.mark.slow
def test_the_command_tells_each_run_and_fails_where_one_differs(store, world):
    (world / "check.toml").write_text(
        f'name = "check"\nsummary = ""\n[defaults]\nsteps = 40\n'
        f'[protocol]\nepisodes = 2\nevaluations = 2\n[datasets."{BANDIT}"]\n'
    )
    done = zoo("leaderboard", "verify", "--track", "check.toml", "--sample", "1", cwd=world)
    assert done.returncode == 0, done.stderr
    assert "same      draws on " in done.stdout
    changed(store, training=lambda result: ())
    done = zoo("leaderboard", "verify", "--track", "check.toml", "--sample", "1", cwd=world)
    assert done.returncode == 1
    assert "equal evaluations and other metrics" in done.stdout


def test_nothing_to_verify_is_said(world):
    Store(world / "runs").check_writable()
    with pytest.raises(ZooError, match="no finished run of the present code"):
        verify(TRACK, Store(world / "runs"))


def test_a_prediction_interval_of_known_values():
    # Of two runs at 0 and 2: 1 +- t(0.975, 1) sqrt(2) sqrt(1.5).
    low, high = prediction_interval([0.0, 2.0])
    assert (low + high) / 2 == pytest.approx(1.0)
    assert high - 1.0 == pytest.approx(12.7062047 * 2**0.5 * 1.5**0.5)
    assert prediction_interval([1.0]) is None


@pytest.fixture
def two(tmp_path):
    """Two stores: an equal cell, noise, a change, a cell of each alone, and a single run."""
    a, b = Store(tmp_path / "a"), Store(tmp_path / "b")
    for seed in range(4):
        same = synthetic("same", "a-v0", seed, (0.0, 50.0 + seed))
        a.put(same)
        b.put(same)
        for name, level in (("noise", 0.5), ("better", 40.0)):
            a.put(synthetic(name, "a-v0", seed, (0.0, 50.0 + seed)))
            b.put(
                synthetic(name, "a-v0", seed, (0.0, 50.0 + level + seed), sources={"plugin": "new"})
            )
    a.put(synthetic("same", "b-v0", 0))
    b.put(synthetic("noise", "b-v0", 0))
    a.put(synthetic("better", "b-v0", 0, (0.0, 1.0)))
    b.put(synthetic("better", "b-v0", 0, (0.0, 90.0)))
    return a, b


def test_what_changed_between_two_stores_and_whether_it_is_noise(two):
    found = {(c.row, c.dataset): c for c in compare(*two, COMPARED)}
    verdicts = {place: change.verdict for place, change in found.items()}
    assert verdicts == {
        ("same", "a-v0"): "same",
        ("noise", "a-v0"): "noise",
        ("better", "a-v0"): "changed",
        ("same", "b-v0"): "only in A",
        ("noise", "b-v0"): "only in B",
        ("better", "b-v0"): "open",
    }
    assert found["better", "a-v0"].difference == pytest.approx(40.0)
    assert found["better", "a-v0"].why == "code of plugin"
    assert found["better", "b-v0"].why == "seed 0: equal keys with other scores"
    text = render(list(found.values()))
    assert "1 changed, 1 noise, 1 only in A, 1 only in B, 1 open, 1 same" in text
    assert text.splitlines()[5].startswith("| **better** | **a-v0** |")
    lines = json.loads(render(list(found.values()), "json"))
    assert {line["verdict"] for line in lines} == set(verdicts.values())


def test_many_cells_of_noise_are_not_taken_for_changes(tmp_path):
    import numpy as np

    generator = np.random.default_rng(0)
    a, b = Store(tmp_path / "a"), Store(tmp_path / "b")
    for name in range(20):
        for seed in range(4):
            for store, code in ((a, "x"), (b, "y")):
                score = float(generator.normal(50, 10))
                store.put(synthetic(f"r{name}", "a-v0", seed, (0.0, score), sources={"p": code}))
    assert {change.verdict for change in compare(a, b, COMPARED)} == {"noise"}


def test_stores_without_runs_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(ZooError, match="neither store has a finished run"):
        compare(tmp_path / "a", tmp_path / "b", COMPARED)
    with pytest.raises(ZooError, match="no store at"):
        compare(tmp_path / "a", tmp_path / "none", COMPARED)
