import io

from rich.console import Console
from synthetic import synthetic

from zoo_leaderboard.execution import Progress
from zoo_leaderboard.planning import Job
from zoo_leaderboard.progress import LiveTable, Plain, choose_display, duration


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
    assert text == "bc on a-v0, seed 0: goes on at step 30 of 100\n"


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
