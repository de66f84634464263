"""Records that somebody wrote by hand, value by value: each is a result or damage, and a board of
them all can be shown."""

import copy
import json

import pytest
from synthetic import synthetic

import zoo_leaderboard
from zoo_leaderboard.result import Measured
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

VALUES = (
    *(
        None,
        "",
        "\x00\x1b[2J\u202e<script>|&\\end{tabular}\n# x",
        "../../../etc/passwd",
        [],
        {},
        [[]],
    ),
    *(-1, 0, 10**400, -(10**30), 1e308, -1e308, 5e-324, True),
)


def leaves(value, path=()):
    """The path of every value in a record, those of the containers too."""
    yield path
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


def mutants(record):
    """Every record with one value replaced by one of `VALUES`, or left out."""
    for path in leaves(record):
        if not path:
            continue
        for value in (*VALUES, ...):
            changed = copy.deepcopy(record)
            *outer, last = path
            place = changed
            for key in outer:
                place = place[key]
            if value is ...:
                del place[last]
            else:
                place[last] = value
            yield changed


@pytest.mark.parametrize("failure", [None, "made up"])
def test_no_record_with_a_hostile_value_breaks_a_board(tmp_path, failure):
    measured = Measured(step=100, stage="train", steps=100, metrics={"a/nll": 0.5})
    result = synthetic("bc", "a-v0", 0, failure=failure, training=(measured,))
    record = json.loads(result.model_dump_json())
    store = Store(tmp_path / "runs")
    folder = store.path(result.cell, result.key).parent
    folder.mkdir(parents=True)
    count = 0
    for count, changed in enumerate(mutants(record), start=1):
        # A seed and a key of its own, unless these are what is hostile.
        key = f"{count:032x}"
        if changed.get("key") == record["key"]:
            changed["key"] = key
        if isinstance(changed.get("cell"), dict) and changed["cell"].get("seed") == 0:
            changed["cell"]["seed"] = count
        (folder / f"default.seed{count}.{key}.json").write_text(json.dumps(changed))
    results, damaged = store.load()
    assert len(results) + len(damaged) == count
    assert len(damaged) > count / 4
    track = Track(name="demo", summary="", datasets=["a-v0"], seeds=[0])
    board = zoo_leaderboard.load(store, track)
    for style in ("markdown", "csv", "latex", "json"):
        text = board.table(style)
        assert all(c.isprintable() or c == "\n" for c in text)
    json.loads(board.table("json"))
    board.scores()
    board.curves()


@pytest.mark.parametrize(
    ("field", "value"),
    [("algorithm", "../../../x"), ("dataset", "b/y-v0"), ("variant", "tuned"), ("seed", 7)],
)
def test_a_record_of_another_cell_than_its_name_says_is_damage(tmp_path, field, value):
    store = Store(tmp_path)
    path = store.put(synthetic("bc", "a/x-v0", 0))
    record = json.loads(path.read_text())
    record["cell"][field] = value
    path.write_text(json.dumps(record))
    results, damaged = store.load()
    assert not results
    assert damaged[0].cell == synthetic("bc", "a/x-v0", 0).cell
    board = zoo_leaderboard.load(store, Track(name="demo", summary="", datasets=["a/x-v0"]))
    assert [row.label for row in board.rows] == ["bc"]
    assert set(board.rows[0].entry("a/x-v0").damaged) == {0}
