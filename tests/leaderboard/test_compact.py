"""The ranking on one screen."""

import pytest
from synthetic import synthetic

from zoo_leaderboard.board.loading import load
from zoo_leaderboard.report.tables.compact import compact, short_names
from zoo_leaderboard.result import Cell
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track, load_track


def board(tmp_path, datasets, results, planned=()):
    store = Store(tmp_path / "runs")
    store.root.mkdir(parents=True)
    for result in results:
        store.put(result)
    if planned:
        store.remember("demo", {cell: f"{i:032x}" for i, cell in enumerate(planned)})
    track = Track(name="demo", summary="made up", reduced=True, datasets=list(datasets))
    return load(store, track, check=False)


def levels(label, datasets, level, seeds=3):
    return [synthetic(label, d, s, (0.0, level + s)) for d in datasets for s in range(seeds)]


def test_rows_means_datasets_and_what_is_missing_are_on_one_screen(tmp_path):
    datasets = ["zoo/a/modes-v0", "zoo/b/mixed-v0"]
    results = levels("good", datasets, 80.0) + levels("weak", datasets, 20.0)
    results += [synthetic("part", datasets[0], 0, (0.0, 50.0))]
    results += [synthetic("part", datasets[0], s, failure="ValueError: bad") for s in (1, 2)]
    results += [synthetic("gone", datasets[1], 0, failure="out of memory")]
    planned = [Cell(algorithm="part", dataset=datasets[1], seed=s) for s in range(3)]
    text = compact(board(tmp_path, datasets, results, planned))
    lines = [line.split() for line in text.splitlines()]
    assert lines[1] == ["#", "algorithm", "mean", "[95", "%]", "modes", "mixed", "no", "score"]
    first = next(line for line in lines if line[:2] == ["1", "good"])
    assert first[2:] == ["81.0", "[80.3,", "81.7]*", "81.0*", "81.0*"]
    assert ["2", "weak", "21.0", "[20.3,", "21.7]", "21.0", "21.0"] in lines
    part = next(line for line in lines if line[:2] == ["-", "part"])
    assert part[2:] == ["-", "50.0", "1/3", "-", "2", "failed,", "3", "missing"]
    gone = next(line for line in lines if line[:2] == ["-", "gone"])
    assert gone[2:] == ["-", "-", "failed", "1", "failed"]
    assert "failed 2 x: ValueError: bad" in text
    assert "failed 1 x: out of memory" in text
    assert "P(row" not in text


@pytest.mark.parametrize("width", [60, 80, 120, 300])
@pytest.mark.parametrize("track", ["demo", "d4rl"])
def test_it_fits_the_screen_whatever_the_rows_and_datasets(tmp_path, track, width):
    datasets = load_track(track).dataset_ids()
    labels = [f"algorithm_{i}_with_a_name_that_is_rather_long" for i in range(40)]
    results = [
        synthetic(a, d, 0, (0.0, float(i))) for i, a in enumerate(labels) for d in datasets[:12]
    ]
    results += [synthetic("bad", d, 0, failure=f"{d}: {'x' * 500}") for d in datasets[:12]]
    text = compact(board(tmp_path, datasets, results), width, 25)
    lines = text.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= width
    assert any(line.startswith("... and") and "more rows" in line for line in lines)
    numbers = [line for line in lines if "algorithm_" in line]
    assert len(numbers) >= 10
    # Every row has a column for a dataset at least.
    assert all(line.split()[-1].strip("*").replace(".", "").isdigit() for line in numbers)


@pytest.mark.parametrize("rows", [13, 14, 15, 16, 17])
def test_no_line_says_that_one_row_is_left_out(tmp_path, rows):
    results = [synthetic(f"row_{i}", "a/x-v0", 0, (0.0, float(i))) for i in range(rows)]
    lines = compact(board(tmp_path, ["a/x-v0"], results), 80, 25).splitlines()
    shown = sum("row_" in line for line in lines)
    assert len(lines) <= 25
    assert shown == rows or f"... and {rows - shown} more rows" in lines
    assert rows - shown != 1


def test_names_of_datasets_are_as_short_as_they_can_be():
    assert list(short_names(["zoo/a/modes-v0", "zoo/b/mixed-v0"]).values()) == ["modes", "mixed"]
    assert list(short_names(["a/x-v0", "b/x-v0"]).values()) == ["a/x", "b/x"]
    assert list(short_names(["a/x-v0", "a/x-v1"]).values()) == ["x-v0", "x-v1"]
    assert list(short_names(["a/x-v0+0.5*b/y-v0"]).values()) == ["a/x+0.5*b/y"]
    assert short_names([]) == {}


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "settings",
    [
        [{"critic.hidden": 64, "steps": n} for n in (20, 20.0, 30, 3000)],
        [{"critic.hidden": n, "network.layers": 2, "steps": 1000} for n in (64, 128, 256)],
        [{"sampler.hidden": 64, "z.long_path_of_a_setting": n, "zz": 0} for n in range(3)],
    ],
)
def test_rows_of_one_algorithm_are_told_apart(tmp_path, settings, width):
    results = [
        synthetic("td3_bc", "a/x-v0", 0, (0.0, 50.0 + n), settings=own)
        for n, own in enumerate(settings)
    ]
    found = board(tmp_path, ["a/x-v0"], results)
    lines = compact(found, width).splitlines()
    labels = [line.rsplit("  ", 2)[0][3:].strip() for line in lines if "td3_bc" in line]
    assert len(set(labels)) == len(labels) == len(settings)
    assert max(map(len, lines)) <= width


def test_wide_screens_have_whole_labels(tmp_path):
    settings = {"critic.hidden": 64, "sampler.hidden": 64, "steps": 3000}
    results = [synthetic("td3_bc", "a/x-v0", 0, settings=settings)]
    label = "td3_bc (critic.hidden=64, sampler.hidden=64, steps=3000)"
    assert label in compact(board(tmp_path, ["a/x-v0"], results), 120)


def test_datasets_of_the_track_that_were_not_run_are_named(tmp_path):
    found = board(tmp_path, ["a/x-v0", "a/y-v0"], [synthetic("bc", "a/x-v0", 0)])
    assert "not run of this track: a/y-v0" in compact(found, 120)
    empty = board(tmp_path / "empty", ["a/x-v0"], [])
    assert "not run of this track" not in compact(empty, 120)


def test_hostile_texts_are_one_printable_line_each(tmp_path):
    harm = "\x1b[2J\nx\u202e"
    results = [synthetic(harm, "a-v0", 0), synthetic("bc", "a-v0", 0, failure=harm)]
    text = compact(board(tmp_path, ["a-v0"], results))
    assert all(c.isprintable() or c == "\n" for c in text)
    assert text.count("\\x1b[2J") == 2


def test_an_empty_board_says_what_to_do(tmp_path):
    assert "zoo leaderboard run" in compact(board(tmp_path, ["a-v0"], []))
