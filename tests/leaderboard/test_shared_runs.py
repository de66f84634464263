"""Real runs of rows with equal settings, and boards where a dataset is damaged."""

import json
import shutil
import threading

import pytest
from worlds import BANDIT

import zoo_leaderboard
from zoo_leaderboard.ranking import carry_out, prepare
from zoo_leaderboard.result import Protocol
from zoo_leaderboard.running.progress import Display
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

TRACK = Track(
    name="shared",
    summary="made up",
    datasets=[BANDIT],
    seeds=[0],
    protocol=Protocol(episodes=2, evaluations=1),
    defaults={"steps": 20, "batch_size": 8},
)
SAME = {"delay": 0.0}
"""The default, set by hand: a row with equal settings."""


class Counted(Display):
    def __init__(self):
        self.begun, self.waited = [], []

    def started(self, job):
        self.begun.append(job.cell.row)

    def waiting(self, job):
        self.waited.append(job.cell.row)


def test_a_run_of_two_rows_is_made_once_and_shown_in_both(world):
    store, display = Store(world / "runs"), Counted()
    planned = [
        *prepare(TRACK, algorithms=["steady"], store=store),
        *prepare(TRACK, algorithms=["steady"], settings=SAME, store=store),
    ]
    assert len({p.job.key for p in planned}) == 1
    summary = carry_out(planned, store, display, workers=2)
    assert (summary.finished, summary.already, summary.failures) == (1, 0, [])
    assert (len(display.begun), display.waited) == (1, [])
    assert len(store.load()[0]) == 1
    board = zoo_leaderboard.load(store, TRACK)
    assert {row.label for row in board.rows} == {"steady", "steady (delay=0.0)"}
    one, two = (row.entry(BANDIT) for row in board.rows)
    assert one.scores == two.scores
    assert one.complete
    assert board.common == ([BANDIT] if board.references[BANDIT] else [])
    # Again, and each row by itself: nothing is left to do.
    for settings in ({}, SAME):
        again = zoo_leaderboard.run(TRACK, algorithms=["steady"], settings=settings, store=store)
        assert (again.finished, again.already) == (0, 1)


def test_two_runners_of_two_rows_with_one_run_make_it_once(world):
    store = Store(world / "runs")
    done = []

    def go(settings):
        done.append(
            zoo_leaderboard.run(
                TRACK, algorithms=["steady"], settings=settings, store=store, workers=1
            )
        )

    threads = [threading.Thread(target=go, args=(settings,)) for settings in ({}, SAME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(summary.ok for summary in done)
    (result,) = store.load()[0]
    assert result.times.attempts == 1
    rows = zoo_leaderboard.load(store, TRACK).rows
    assert [len(row.entry(BANDIT).finished) for row in rows] == [1, 1]


def test_a_damaged_dataset_costs_its_check_and_no_table(world, home, tmp_path, monkeypatch):
    own = tmp_path / "home"
    shutil.copytree(home / "datasets", own / "datasets")
    monkeypatch.setenv("ZOO_HOME", str(own))
    store = Store(world / "runs")
    assert zoo_leaderboard.run(TRACK, algorithms=["steady"], store=store).ok
    sound = zoo_leaderboard.load(store, TRACK)
    assert sound.notes == []
    (data,) = (own / "datasets" / BANDIT / "data").glob("*.hdf5")
    content = data.read_bytes()
    for damage in (b"", content[: len(content) // 2], b"rubbish" * 1000):
        data.write_bytes(damage)
        board = zoo_leaderboard.load(store, TRACK)
        assert board.rows[0].entry(BANDIT).scores == sound.rows[0].entry(BANDIT).scores
        (note,) = board.notes
        assert BANDIT in note
        assert note in board.table().replace("\\", "")
    metadata = own / "datasets" / BANDIT / "data" / "metadata.json"
    for text in ("{", "[]", "{}"):
        metadata.write_text(text)
        board = zoo_leaderboard.load(store, TRACK)
        assert len(board.rows[0].entry(BANDIT).finished) == 1
        assert board.notes


@pytest.mark.parametrize("settings", [{}, SAME])
def test_a_verification_makes_a_shared_run_once(world, settings):
    from zoo_leaderboard.audit.verify import verify

    store = Store(world / "runs")
    for own in (settings, SAME):
        zoo_leaderboard.run(TRACK, algorithms=["steady"], settings=own, store=store)
    checked = verify(TRACK, store, sample=5, workers=1)
    assert [found.verdict for found in checked] == ["same"]


def test_scores_follow_the_dataset_s_present_reference(world, home, tmp_path, monkeypatch):
    own = tmp_path / "home"
    shutil.copytree(home / "datasets", own / "datasets")
    monkeypatch.setenv("ZOO_HOME", str(own))
    store = Store(world / "runs")
    assert zoo_leaderboard.run(TRACK, algorithms=["steady"], store=store).ok
    path = own / "datasets" / BANDIT / "data" / "metadata.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, "ref_min_score": -10.0, "ref_max_score": 40.0}))
    # A seed that is run after the change has the same scale as the one before.
    assert zoo_leaderboard.run(TRACK, algorithms=["steady"], seeds=[1], store=store).ok
    recorded = {result.cell.seed: result for result in store.load()[0]}
    assert recorded[0].reference != recorded[1].reference
    board = zoo_leaderboard.load(store, TRACK)
    returns = [recorded[seed].evaluations[-1].mean_return for seed in (0, 1)]
    expected = [100.0 * (value + 10.0) / 50.0 for value in returns]
    assert board.rows[0].entry(BANDIT).scores == pytest.approx(expected)
    assert board.references[BANDIT].max == 40.0
    (note,) = board.notes
    assert "1 with" in note
    # Without reference scores the column is of returns, and in no aggregate.
    del metadata["ref_min_score"]
    path.write_text(json.dumps(metadata))
    board = zoo_leaderboard.load(store, TRACK)
    assert board.rows[0].entry(BANDIT).scores == pytest.approx(returns)
    assert board.common == []
