"""Published scores: the file of facts, and the table that puts ours beside them."""

import csv
import io
import json
from collections import Counter

import pytest
from pydantic import ValidationError
from synthetic import synthetic

from zoo_core import UnknownName, ZooError
from zoo_core.cli import main
from zoo_core.registry import installed
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.datasets.expression import parse
from zoo_leaderboard.report import comparison
from zoo_leaderboard.report.published import Published, load_published
from zoo_leaderboard.result import Cell
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

HOPPER, DOOR, OWN = "rlzoo3/hopper/medium-expert-v0", "D4RL/door/human-v2", "zoo/pendulum/mixed-v0"
TRACK = Track(name="demo", summary="made up", reduced=True, datasets=[HOPPER, DOOR, OWN])

FACTS = load_published()
SCORES = [
    (algorithm, score)
    for counterpart in FACTS.counterparts
    for dataset in counterpart.datasets
    for algorithm in sorted(
        {a for t in FACTS.tables for ours in t.algorithms.values() for a in ours}
    )
    for score in FACTS.scores(algorithm, dataset)
]

MADE_UP = {
    "counterparts": [
        {
            "version": "Gym_v2",
            "data": "Data <differ>.",
            "environment": "Physics | too.",
            "scale": "One scale.",
            "datasets": {HOPPER: ["hopper-v2", "hopper"]},
        }
    ],
    "tables": [
        {
            "source": "A [paper]",
            "kind": "paper",
            "checkpoint": "best",
            "algorithms": {"X*": ["x"]},
            "remarks": {"hopper": {"X*": "`doubtful`"}},
            "scores": {"hopper-v2": {"X*": [110.0, 1.25]}, "hopper": {"X*": 90.0}},
        },
        {
            "source": "lib_rary@1",
            "kind": "library benchmark",
            "checkpoint": "last",
            "seeds": 4,
            "algorithms": {"X": ["x", "y"]},
            "scores": {"hopper-v2": {"X": -0.01}},
        },
    ],
}


def board(tmp_path, *results, planned=()):
    store = Store(tmp_path / "runs")
    store.root.mkdir()
    for result in results:
        store.put(result)
    store.remember("demo", {cell: str(i) for i, cell in enumerate(planned)})
    return load(store, TRACK, check=False)


@pytest.fixture
def full(tmp_path):
    """Two seeds of four algorithms on the track's datasets."""
    return board(
        tmp_path,
        *(
            synthetic(name, dataset, seed, (0.0, level + seed))
            for name, level in (("iql", 60.0), ("bc", 50.0), ("edp", 40.0), ("diffusion_ql", 30.0))
            for dataset in TRACK.dataset_ids()
            for seed in range(2)
        ),
    )


def rows_of(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [dict(zip(table[0], line, strict=True)) for line in table[2:]]


def test_every_algorithm_of_the_file_is_one_of_ours():
    named = {a for table in FACTS.tables for ours in table.algorithms.values() for a in ours}
    assert named <= set(installed().algorithms)
    assert {algorithm for algorithm, _ in SCORES} == named


def test_every_score_has_a_source_a_checkpoint_rule_and_an_environment():
    assert len(SCORES) > 200
    for _, score in SCORES:
        assert score.source.strip() and score.environment.strip() and score.checkpoint
        assert -20.0 < score.score_mean < 140.0
        assert score.score_std is None or score.score_std >= 0.0


def test_no_entry_duplicates_another():
    def twice(keys):
        return [key for key, count in Counter(keys).items() if count > 1]

    # A dataset of theirs may stand beside two of ours: each fact of the file counts once.
    facts = {(a, s.dataset, s.source, s.checkpoint, s.score_mean) for a, s in SCORES}
    assert len(facts) == sum(
        len(table.algorithms[name])
        for table in FACTS.tables
        for scores in table.scores.values()
        for name in scores
    )
    assert twice(fact[:4] for fact in facts) == []
    quoted = {
        (a, s.dataset, s.score_mean) for a, s in SCORES if s.kind == "paper quoted by another"
    }
    assert twice(key[:2] for key in quoted) == [], "two quotations of one number"


def test_counterparts_are_dataset_expressions_in_their_canonical_form():
    for counterpart in FACTS.counterparts:
        assert counterpart.data.endswith(".") and counterpart.environment.endswith(".")
        for dataset in counterpart.datasets:
            assert str(parse(dataset)) == dataset


def test_known_facts():
    last, quoted = FACTS.scores("iql", HOPPER)
    assert (last.score_mean, last.score_std, last.seeds, last.checkpoint) == (
        107.42,
        7.8,
        4,
        "last",
    )
    assert (quoted.score_mean, quoted.seeds, quoted.checkpoint) == (91.5, None, "not stated")
    (selected,) = FACTS.scores("diffusion_ql", HOPPER)
    assert selected.checkpoint == "online selected"
    (naive,) = FACTS.scores("sac_off", "mujoco/hopper/medium-v0")
    assert naive.dataset_version == "not stated"
    assert FACTS.scores("edp", HOPPER) == []
    assert FACTS.scores("iql", OWN) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["tables"][0].pop("source"), "source"),
        (lambda f: f["tables"][0].pop("checkpoint"), "checkpoint"),
        (lambda f: f["tables"][0].update(checkpoint="memory"), "checkpoint"),
        (lambda f: f["tables"][0].update(sedes=3), "sedes"),
        (lambda f: f["tables"][0]["scores"].update(ant={"X*": 1.0}), "stands beside ant"),
        (lambda f: f["tables"][0]["scores"]["hopper"].update(Y=1.0), "Y is none of its algorithms"),
        (lambda f: f["tables"][0]["scores"]["hopper"].update({"X*": [1, 2, 3]}), "at most 2"),
        (lambda f: f["tables"][0].update(remarks={"hopper": {"Y": "?"}}), "no score of Y"),
        (lambda f: f["counterparts"].append(f["counterparts"][0]), "has two counterparts"),
    ],
)
def test_a_wrong_file_is_refused(change, message):
    facts = json.loads(json.dumps(MADE_UP))
    Published.model_validate(facts)
    change(facts)
    with pytest.raises(ValidationError, match=message):
        Published.model_validate(facts)


def test_ours_stands_beside_the_published_and_the_difference_is_named(full):
    text = full.published()
    rows = rows_of(text)
    assert list(dict.fromkeys(row["algorithm"] for row in rows)) == [
        *("iql", "bc", "edp", "diffusion\\_ql")
    ], "the order of the table"
    first = rows[0]
    assert first["ours"] == "60.5 ± 0.7 (2)"
    assert first["updates"] == "100, reduced"
    assert first["our checkpoint"] == first["its checkpoint"] == "last"
    assert first["published"] == "107.4 ± 7.8 (4)"
    assert first["published dataset"] == "hopper-medium-expert-v2"
    assert first["environment"] == "Gym v2, mujoco-py"
    assert first["source"] == "\\[1\\]"
    assert "\\[1\\] CORL" in text
    assert rows[1]["published"] == "91.5 (seeds not stated)"
    assert f"{HOPPER} beside hopper-medium-expert-v2. Data: " in text
    assert f"{DOOR} beside door-human-v1. Data: " in text
    assert "not comparable, and no difference between them is computed" in text
    assert "Environment: Ours is Gymnasium's Hopper-v5" in text


def test_what_has_no_published_number_says_so(full):
    rows = rows_of(full.published())
    assert {row["published"] for row in rows if row["algorithm"] == "edp"} == {"none"}
    assert {row["published"] for row in rows if row["dataset"] == OWN} == {"none"}
    assert f"{OWN}: no published dataset is its counterpart." in full.published()


def test_variants_stand_beside_the_same_numbers_and_unfinished_cells_are_counted(tmp_path):
    found = board(
        tmp_path,
        synthetic("iql", HOPPER, 0),
        synthetic("iql", HOPPER, 0, variant="tuned"),
        synthetic("bc", HOPPER, 0, reference=None),
        synthetic("bc", DOOR, 0, failure="no"),
        planned=[Cell(algorithm="cql", dataset=DOOR, seed=0)],
    )
    rows = rows_of(found.published())
    assert {row["algorithm"] for row in rows} == {"iql", "iql (tuned)", "bc"}
    assert {row["ours"] for row in rows if row["algorithm"] == "bc"} == {"100.0 (1), raw return"}
    assert "Not shown: 2 cells without a finished run." in found.published()


def test_everything_shown_is_escaped(tmp_path):
    found = board(tmp_path, synthetic("x", HOPPER, 0), synthetic("y", HOPPER, 0))
    facts = Published.model_validate(MADE_UP)
    text = comparison.render(found, "markdown", facts)
    rows = rows_of(text)
    assert [row["published"] for row in rows] == [
        *("0.0 (4)", "110.0 ± 1.2 (seeds not stated)", "90.0 (seeds not stated)", "0.0 (4)")
    ]
    assert [row["as"] for row in rows] == ["X", "X\\*", "X\\*", "X"]
    assert rows[1]["environment"] == "Gym\\_v2"
    assert rows[2]["published dataset"] == "hopper, version not stated"
    assert rows[2]["source"] == "\\[2\\] \\[3\\]"
    assert "\\[3\\] \\`doubtful\\`" in text
    assert "A \\[paper\\]" in text
    assert "Data \\<differ\\>. Environment: Physics \\| too." in text
    lines = list(csv.DictReader(io.StringIO(comparison.render(found, "csv", facts))))
    assert lines[1]["published_source"] == "A [paper]"
    assert lines[0]["environment_differs"] == "Physics | too."


def test_csv_and_json_hold_the_same_numbers(full):
    lines = list(csv.DictReader(io.StringIO(full.published("csv"))))
    content = json.loads(full.published("json"))
    assert len(lines) == len(rows_of(full.published()))
    flat = [(row, score) for row in content["rows"] for score in row["published"] or [None]]
    for line, (row, score) in zip(lines, flat, strict=True):
        assert (line["row"], line["dataset"]) == (row["row"], row["dataset"])
        assert float(line["ours_score_mean"]) == row["ours"]["score_mean"]
        assert line["ours_updates"] == "100"
        assert line["ours_checkpoint"] == row["ours"]["checkpoint"] == "last"
        if score is None:
            assert line["published_name"] == "none"
        else:
            assert float(line["published_score_mean"]) == score["score_mean"]
            assert line["published_checkpoint"] == score["checkpoint"]
            assert line["data_differ"] == row["differences"]["data"]
        assert line["warning"] == content["warning"]
    assert not any("difference" in name for name in lines[0])


def test_an_empty_board_and_an_unknown_format_are_refused(tmp_path, full):
    with pytest.raises(UnknownName, match="did you mean 'markdown'"):
        full.published("markdwn")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooError, match="no finished run of track 'demo'"):
        board(tmp_path / "empty").published()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--track", "deno"], "unknown track 'deno'; did you mean 'demo'?"),
        (["--format", "latex"], "'latex' is not one of"),
        ([], "no finished run of track 'demo'"),
    ],
)
def test_the_commands_mistakes_are_one_line(tmp_path, capsys, options, message):
    (tmp_path / "store").mkdir()
    with pytest.raises(SystemExit) as stopped:
        main(["leaderboard", "published", "--store", str(tmp_path / "store"), *options])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert error.startswith("zoo: ") and error.count("\n") == 1
