import io

import pytest
from rich.console import Console
from synthetic import synthetic

from zoo_leaderboard.planning import Job
from zoo_leaderboard.running.progress import (
    LiveTable,
    Plain,
    choose_display,
    duration,
    metrics_text,
)
from zoo_leaderboard.running.run import Progress
from zoo_leaderboard.store import Store


def job_of(result):
    return Job(
        key=result.key,
        track="demo",
        cell=result.cell,
        ingredients=result.ingredients,
        total_steps=result.total_steps,
    )


def shown(kind, act):
    stream = io.StringIO()
    console = Console(file=stream, width=120, force_terminal=kind is LiveTable)
    with kind(console, 2) as display:
        act(display)
    return stream.getvalue()


def story(display):
    good = synthetic("bc", "a-v0", 0)
    bad = synthetic("[red]bad", "a-v0", 0, failure="ValueError: [/] no")
    display.started(job_of(good))
    display.tick()
    half = Progress(step=50, total_steps=100, steps_per_second=10.0, loss=0.25, score=12.5)
    display.progress(job_of(good), half)
    display.tick()
    display.finished(job_of(good), good)
    display.started(job_of(bad))
    display.waiting(job_of(bad))
    display.finished(job_of(bad), bad)
    display.tick()


def test_plain_lines_tell_what_is_over():
    text = shown(Plain, story)
    assert "[1/2] bc on a-v0, seed 0  score 50.0" in text
    # A plugin's name is text and no markup.
    assert "[2/2] [red]bad on a-v0, seed 0  failed: ValueError: [/] no" in text
    assert "another runner has it" in text


def test_plain_lines_tell_that_a_run_goes_on():
    result = synthetic("bc", "a-v0", 0)
    resumed = Progress(step=30, total_steps=100, resumed=True)
    text = shown(Plain, lambda display: display.progress(job_of(result), resumed))
    assert text == "bc on a-v0, seed 0: resumes at step 30 of 100\n"


@pytest.mark.parametrize("resumed", [False, True])
def test_a_stage_that_is_prepared_is_shown_now_and_then(monkeypatch, resumed):
    result = synthetic("qgpo", "a-v0", 0)
    clock = iter([100.0, 101.0, 116.0])
    shares = (0.1, 0.2, 0.375)

    def tell(display):
        monkeypatch.setattr(display, "tick", lambda: None, raising=False)
        monkeypatch.setattr("zoo_leaderboard.running.progress.time.monotonic", lambda: next(clock))
        for share in shares:
            display.progress(
                job_of(result),
                Progress(
                    step=40, total_steps=100, preparing="train", prepared=share, resumed=resumed
                ),
            )
        monkeypatch.undo()

    assert shown(Plain, tell).splitlines() == [
        f"qgpo on a-v0, seed 0: step 40/100, preparing stage 'train': {share}"
        for share in ("10%", "38%")
    ]

    def live(display):
        half = Progress(step=40, total_steps=100, preparing="train", prepared=0.375)
        display.progress(job_of(result), half)
        display.tick()

    assert "40 (preparing 38%)" in shown(LiveTable, live)


def test_metrics_are_one_short_line():
    assert metrics_text({"a/nll": 1.25, "a/held_out": 1 / 3}) == "a/nll 1.25  a/held_out 0.3333"


def test_the_live_table_shows_every_column():
    text = shown(LiveTable, story)
    for piece in (
        "bc on a-v0, seed 0",
        "50",
        "10",
        "0.25",
        "12.5",
        "5s",
        "2 of 2 runs over, 1 failed",
    ):
        assert piece in text
    assert "failed: ValueError: [/] no" in text


def test_the_terminal_decides():
    assert isinstance(choose_display(Console(file=io.StringIO()), 1), Plain)
    assert isinstance(
        choose_display(Console(file=io.StringIO(), force_terminal=True), 1), LiveTable
    )


def test_durations():
    assert [duration(s) for s in (None, 0.2, 59, 61, 3600, 7505)] == [
        "-",
        "1s",
        "59s",
        "1m01s",
        "1h00m",
        "2h05m",
    ]


@pytest.mark.parametrize("kind", [Plain, LiveTable])
def test_names_and_reasons_cannot_steer_the_terminal(kind):
    harm = "x\x1b[2J\x9b31m\u202e\ny"
    bad = synthetic(harm, "a-v0", 0, failure=harm)

    def act(display):
        display.started(job_of(bad))
        display.tick()
        display.retried(job_of(bad), harm)
        display.finished(job_of(bad), bad)

    text = shown(kind, act)
    for obeyed in ("\x1b[2J", "\x9b", "\u202e"):
        assert obeyed not in text.replace("\x1b[2K", "")
    assert "x\\x1b[2J" in text


def test_a_failure_says_where_its_traceback_is(tmp_path):
    bad = synthetic("bc", "a-v0", 0, failure="no")
    failure = bad.failure.model_copy(update={"traceback": "Traceback ..."})
    with_traceback = bad.model_copy(update={"failure": failure})
    store = Store(tmp_path)
    stream = io.StringIO()
    with Plain(Console(file=stream, width=500), 2, store) as display:
        display.finished(job_of(bad), bad)
        display.finished(job_of(bad), with_traceback)
    first, second = stream.getvalue().splitlines()
    assert "traceback" not in first
    assert second.endswith(f"traceback: {store.path(bad.cell, bad.key)}")
