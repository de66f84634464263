import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import synthetic

from zoo_core import UnknownName, ZooError
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.report import tables
from zoo_leaderboard.result import Cell, Diagnosed, Measured, Times
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

TRACK = Track(
    name="demo",
    summary="made up",
    reduced=True,
    datasets=["a-v0", "b/c-v1", "unused-v0"],
)


def board(tmp_path, *results, planned=None):
    store = Store(tmp_path / "runs")
    store.root.mkdir(parents=True)
    for result in results:
        store.put(result)
    if planned:
        store.remember("demo", planned)
    return load(store, TRACK, check=False)


@pytest.fixture
def full(tmp_path):
    """Two rows with everything finished and one with gaps of every kind."""
    results = []
    for name, level in (("good", 80.0), ("weak", 20.0)):
        for dataset in ("a-v0", "b/c-v1"):
            for seed in range(3):
                curve = (0.0, level + 9.0 + seed, level, level - 3.0, level + seed)
                results.append(synthetic(name, dataset, seed, curve))
    return board(tmp_path, *results)


def line_of(text, label):
    return next(line for line in text.splitlines() if line.startswith(f"| {label} "))


def test_the_score_is_the_last_checkpoints_and_the_others_are_named(full):
    aggregate = full.aggregates["good"]
    assert aggregate.mean.value == pytest.approx(81.0)
    # Per seed s: (80 + 77 + 80 + s) / 3, and the best 89 + s.
    assert aggregate.last == pytest.approx(79.0 + 1 / 3)
    assert aggregate.best == pytest.approx(90.0)
    assert "**81.0 ± 1.0 (3)**" in line_of(full.table(), "good")
    assert "mean of last 3" in full.table()
    (line,) = [x for x in full.table().splitlines() if re.match(r"\| +1 \| good ", x)]
    assert "| 79.3 |" in re.sub(" +", " ", line)
    assert "| 90.0 |" in re.sub(" +", " ", line)


def test_the_best_row_comes_first_and_the_budget_is_shown(full):
    assert [row.label for row in full.rows] == ["good", "weak"]
    text = full.table()
    assert "Track demo: made up" in text
    assert "100, reduced" in line_of(text, "good")
    assert "Reference of a-v0: 0 to 200 (made up)" in text
    assert "Not run of this track: unused-v0." in text
    assert full.improvements["good", "weak"].value == 1.0


def test_missing_failed_and_damaged_cells_are_marked(tmp_path):
    store = Store(tmp_path / "runs")
    for seed in range(3):
        store.put(synthetic("good", "a-v0", seed))
        store.put(synthetic("good", "b/c-v1", seed))
    store.put(synthetic("bad", "a-v0", 0))
    store.put(synthetic("bad", "a-v0", 1, failure="ValueError: no <b>bold</b> | bars"))
    store.put(synthetic("bad", "a-v0", 2)).write_text("{")
    cells = [Cell(algorithm=n, dataset="b/c-v1", seed=0) for n in ("bad", "late")]
    store.remember("demo", {cell: str(i) for i, cell in enumerate(cells)})
    found = load(store, TRACK, check=False)
    text = found.table()
    assert "50.0 (1 of 3), failed \\[1\\], damaged \\[2\\]" in line_of(text, "bad")
    assert "\\[1\\] ValueError: no \\<b\\>bold\\</b\\> \\| bars" in text
    assert "missing" in line_of(text, "bad")
    assert line_of(text, "late").count("missing") == 2
    assert Path(found.damaged[0].place).name in text
    # Rows without a finished cell do not take the others' aggregates away.
    assert found.common == ["a-v0", "b/c-v1"]
    assert set(found.aggregates) == {"good"}


def test_aggregates_cover_what_every_row_has_finished(tmp_path):
    results = [synthetic("x", d, s) for d in ("a-v0", "b/c-v1") for s in range(2)]
    results += [synthetic("y", "a-v0", s) for s in range(3)]
    results += [synthetic("y", "b/c-v1", 0), synthetic("y", "b/c-v1", 1, failure="no")]
    found = board(tmp_path, *results)
    assert found.common == ["a-v0"]
    assert "finished: a-v0" in found.table()


def test_raw_returns_are_marked_and_in_no_aggregate(tmp_path):
    results = [synthetic(n, "a-v0", 0, reference=None) for n in ("x", "y")]
    found = board(tmp_path, *results)
    assert found.common == []
    assert "a-v0 has no reference scores" in found.table()
    assert "100.0 (1)" in line_of(found.table(), "x")


def test_variants_settings_and_external_learners_are_rows_of_their_own(tmp_path):
    found = board(
        tmp_path,
        synthetic("x", "a-v0", 0),
        synthetic("x", "a-v0", 0, variant="tuned"),
        synthetic("x", "a-v0", 0, settings={"critic.hidden": 64}),
        synthetic("z", "a-v0", 0, external=True),
        synthetic("x", "a-v0", 0, track="elsewhere"),
    )
    assert {row.label for row in found.rows} == {"x", "x (tuned)", "x (critic.hidden=64)", "z"}
    assert "z \\[external\\]" in found.table()
    assert len(found.runs) == 4


def test_minaris_mujoco_sets_carry_a_warning(tmp_path):
    found = board(tmp_path, synthetic("x", "mujoco/hopper/medium-v0", 0))
    assert "not comparable to published ones" in found.table()


def test_csv_and_json_hold_the_same_numbers(full):
    lines = list(csv.DictReader(io.StringIO(full.table("csv"))))
    content = json.loads(full.table("json"))
    assert len(lines) == 2 * 2 + 2
    for row in content["rows"]:
        for cell in row["cells"]:
            line = next(
                x for x in lines if x["row"] == row["row"] and x["dataset"] == cell["dataset"]
            )
            assert float(line["score_mean"]) == cell["score_mean"]
            assert line["state"] == "finished"
            assert float(line["reference_max"]) == 200.0
        line = next(x for x in lines if x["row"] == row["row"] and x["dataset"] == "aggregate")
        assert float(line["iqm"]) == row["aggregate"]["iqm"]["value"]
    assert content["reduced"] is True
    assert content["aggregated_datasets"] == ["a-v0", "b/c-v1"]


def test_the_last_metrics_are_in_json_and_held_out_errors_below_the_table(tmp_path):
    def measured(step, **metrics):
        own = {f"behaviour/{name}": value for name, value in metrics.items()}
        return Measured(step=step, stage="clone", steps=10, metrics=own)

    after = Measured(step=100, stage="train", steps=10, metrics={"critic/td": 0.5})
    first = (measured(20, nll=9.0, held_out=9.0), measured(40, nll=1.0, held_out=1.5), after)
    second = (measured(40, nll=2.0, held_out=4.0), after)
    found = board(
        tmp_path,
        synthetic("qgpo", "a-v0", 0, training=first),
        synthetic("qgpo", "a-v0", 1, training=second),
        # Of an older version.
        synthetic("qgpo", "a-v0", 2),
        synthetic("bc", "a-v0", 0, training=(after,)),
    )
    cells = {row["row"]: row["cells"][0] for row in json.loads(found.table("json"))["rows"]}
    assert cells["qgpo"]["metrics"] == {
        "clone": {"behaviour/nll": [1.0, 2.0, None], "behaviour/held_out": [1.5, 4.0, None]},
        "train": {"critic/td": [0.5, 0.5, None]},
    }
    assert cells["bc"]["metrics"] == {"train": {"critic/td": [0.5]}}
    below = found.table().replace("\\", "").splitlines()
    line = "Held-out error of qgpo on a-v0: behaviour/nll 1.5, behaviour/held_out 2.75."
    assert sum(line in own for own in below) == 1
    assert sum("Held-out" in own for own in below) == 1


def test_latex_is_balanced_and_escaped(tmp_path):
    found = board(
        tmp_path,
        synthetic("td3_bc", "a-v0", 0),
        synthetic("td3_bc", "a-v0", 1, failure="50% of $x_{1}^2 & ~#1 \\o/"),
    )
    text = found.table("latex")
    tabulars = text.count("begin{tabular}")
    assert tabulars > 1
    for command in ("toprule", "midrule", "bottomrule", "end{tabular}", "end{table*}"):
        assert text.count(f"\\{command}") == tabulars
    assert r"td3\_bc" in text
    assert r"50\% of \$x\_\{1\}\textasciicircum{}2 \& \textasciitilde{}\#1" in text
    bare = re.sub(r"\\[{}]", "", text)
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    for tabular in text.split("begin{tabular}")[1:]:
        rows = [line for line in tabular.splitlines() if line.endswith(r"\\")]
        assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


def test_latex_compiles(full, tmp_path):
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("needs pdflatex with booktabs and graphicx")
    hostile = Track(name="demo", summary=r"50% of $x_{1}^2 & ~#1 \o/ <a> [b]", datasets=["a-v0"])
    text = replace(full, track=hostile).table("latex")
    (tmp_path / "table.tex").write_text(text)
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}"
        r"\begin{document}\input{table}\end{document}"
    )
    done = subprocess.run(
        [compiler, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_an_empty_board_and_an_unknown_format(tmp_path):
    found = board(tmp_path)
    for style in tables.FORMATS:
        assert found.table(style)
    with pytest.raises(UnknownName, match="did you mean 'markdown'"):
        found.table("markdwn")
    with pytest.raises(ZooError, match="nothing to plot"):
        found.plot(tmp_path / "x.png")


def test_tables_do_not_depend_on_the_order_or_times_of_results(tmp_path):
    results = [synthetic(n, "a-v0", s, (0.0, 1.1 * s)) for n in ("x", "y") for s in range(3)]
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    late = [
        r.model_copy(update={"times": r.times.model_copy(update={"finished_at": str(9 - i)})})
        for i, r in enumerate(results)
    ]
    one, two = board(tmp_path / "1", *results), board(tmp_path / "2", *reversed(late))
    for style in tables.FORMATS:
        assert one.table(style) == two.table(style)


def test_rows_with_equal_means_are_in_the_order_of_their_labels(tmp_path):
    """Whole returns whose means are equal; normalised, the means differ in their last digits."""
    scores = [[100.0 * (k - 23.85) / 138.01 for k in group] for group in ([31, 38, 54], [41] * 3)]
    for place, labels in enumerate((("alpha", "beta"), ("beta", "alpha"))):
        runs = [
            synthetic(label, "a-v0", seed, (0.0, score))
            for label, group in zip(labels, scores, strict=True)
            for seed, score in enumerate(group)
        ]
        (tmp_path / str(place)).mkdir()
        found = board(tmp_path / str(place), *runs)
        assert [row.label for row in found.rows] == ["alpha", "beta"]
        assert {found.aggregates[label].rank.value for label in labels} == {1.5}


def test_scores_and_curves_are_pandas_data(full):
    scores = full.scores()
    assert len(scores) == 12
    assert set(scores["state"]) == {"finished"}
    assert scores.groupby("row")["score"].mean()["good"] == pytest.approx(81.0)
    curves = full.curves()
    assert len(curves) == 12 * 5
    assert sorted(curves["step"].unique()) == [0, 25, 50, 75, 100]


def test_costs_tuning_alarms_and_other_acts_are_shown(tmp_path):
    def run(seed, **fields):
        result = synthetic("qgpo", "a-v0", seed, (0.0, 60.0 + seed))
        last = result.evaluations[-1]
        more = last.model_copy(update={"act": "scale_3", "returns": (20.0, 20.0)})
        update = {
            "evaluations": (*result.evaluations, more),
            "times": Times(training=50.0, evaluation=30.0, setup=20.0),
            "parameters": 1_234_567,
            "peak_memory": 300 * 2**20,
            **fields,
        }
        return result.model_copy(update=update)

    alarm = Diagnosed(step=100, act="act", q_data=1e6, q_high=9.0, alarm="Q is above <9>")
    found = board(
        tmp_path,
        run(0, tuning_evaluations=35, diagnostics=(alarm,)),
        run(1, tuning_evaluations=35),
        synthetic("bc", "a-v0", 0),
    )
    text = re.sub(" +", " ", found.table())
    assert "| 35 | **60.5 ± 0.7 (2) \\[scale\\_3 10.0\\], alarm \\[1\\]** |" in text
    assert "\\[1\\] alarm: Q is above \\<9\\>" in text
    assert "| qgpo | 100 s | 50% | 2 | 1,234,567 | 300 MiB |" in text
    assert "| bc | 100, reduced | unknown |" in text
    (line,) = found.scores()[lambda data: data["alarm"] != ""].to_dict("records")
    assert line["alarm"] == "Q is above <9>"
    cell = json.loads(found.table("json"))["rows"][0]["cells"][0]
    assert cell["diagnostics"] == {"0": {"q_data": 1e6, "q_high": 9.0}}
    assert cell["other_acts"] == {"scale_3": 10.0}


def test_what_cannot_be_told_apart_is_said_and_bold_is_for_a_difference(tmp_path):
    levels = {"first": 90.0, "second": 89.5, "third": 10.0}
    results = [
        synthetic(name, "a-v0", seed, (0.0, level + seed))
        for name, level in levels.items()
        for seed in range(3)
    ]
    found = board(tmp_path, *results)
    text = re.sub(" +", " ", found.table())
    assert "**91.0 ± 1.0 (3)**" in text
    assert "**90.5 ± 1.0 (3)**" in text
    assert "| 11.0 ± 1.0 (3) |" in text
    ends = [line.split(" | ")[-1] for line in text.splitlines() if re.match(r"\| [123] \|", line)]
    assert ends == ["2 |", "1 |", "- |"]
    alike = board(tmp_path / "x", *results[:6])
    assert "**" not in alike.table()


def test_a_matrix_of_many_rows_is_left_to_json(tmp_path):
    results = [synthetic(f"row{i:02}", "a-v0", 0, (0.0, i)) for i in range(17)]
    found = board(tmp_path, *results)
    assert "P(row" not in found.table()
    assert "in the JSON format" in found.table()
    rows = json.loads(found.table("json"))["rows"]
    assert rows[0]["improves_on"]["row00"] == {"value": 1.0, "low": None, "high": None}
    assert rows[0]["told_apart_from"] == []
