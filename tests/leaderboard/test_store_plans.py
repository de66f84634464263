"""Plans: no requested cell is lost, despite concurrent writers and damaged files."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from synthetic import synthetic

import zoo_leaderboard
from zoo_core import ZooError
from zoo_core.cli import main
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.result import Cell
from zoo_leaderboard.store import Store
from zoo_leaderboard.store import plans as plans_module
from zoo_leaderboard.track import Track

TRACK = Track(name="demo", summary="made up", datasets=["a-v0"])


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    if request.param == "s3":
        return request.getfixturevalue("s3") + "/runs"
    return str(tmp_path / "runs") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "runs")
    found.check_writable()
    return found


def cell(seed, algorithm="x", **fields):
    return Cell(algorithm=algorithm, dataset="a-v0", seed=seed, **fields)


def test_cells_that_share_a_key_are_all_kept(place):
    store = Store(place)
    rows = [cell(0), cell(0, variant="tuned"), cell(0, settings={"critic.hidden": [64, 64]})]
    store.remember("demo", dict.fromkeys(rows, "k"))
    assert Store(place).planned("demo") == dict.fromkeys(rows, "k")


def test_writers_at_the_same_time_lose_nothing(place, monkeypatch):
    # A low limit, so that files are joined while others are written.
    monkeypatch.setattr(plans_module, "MOST_FILES", 3)

    def remember(writer):
        for seed in range(4):
            Store(place).remember("demo", {cell(seed, f"x{writer}"): f"{writer}{seed}"})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(remember, range(6)))
    expected = {cell(s, f"x{w}"): f"{w}{s}" for w in range(6) for s in range(4)}
    assert Store(place).planned("demo") == expected


def test_a_writer_that_saw_an_older_plan_loses_nothing(place, monkeypatch):
    """A race of two machines for one file of an object store: both read, then both write."""
    one, two = Store(place), Store(place)
    write = one.files.write

    def late(name, content):
        two.remember("demo", {cell(1): "b"})
        write(name, content)

    monkeypatch.setattr(one.files, "write", late)
    one.remember("demo", {cell(0): "a"})
    assert Store(place).planned("demo") == {cell(0): "a", cell(1): "b"}


def test_the_newest_key_of_a_cell_holds_after_joining(place, monkeypatch):
    monkeypatch.setattr(plans_module, "MOST_FILES", 2)
    store = Store(place)
    for key in ("k1", "k2", "k1", "k3"):
        store.remember("demo", {cell(0): key, cell(1): "same"})
        assert store.planned("demo") == {cell(0): key, cell(1): "same"}
    assert len(store.files.list("plans")) <= 3


def test_asking_for_the_same_again_writes_nothing(store):
    planned = {cell(seed): str(seed) for seed in range(100)}
    store.remember("demo", planned)
    before = store.files.list("plans")
    store.remember("demo", planned)
    store.remember("demo", {cell(3): "3"})
    assert store.files.list("plans") == before
    # Seeds of a row share a line or two.
    assert before[0].size < 4_000


def test_a_plan_of_an_older_version_is_read_and_added_to(store):
    old = {"k0": cell(0).model_dump(), "k1": cell(1).model_dump()}
    store.files.write("plans/demo.json", json.dumps(old).encode())
    assert store.planned("demo") == {cell(0): "k0", cell(1): "k1"}
    store.remember("demo", {cell(1): "new", cell(2): "k2"})
    assert store.planned("demo") == {cell(0): "k0", cell(1): "new", cell(2): "k2"}
    assert store.plans.tracks() == ["demo"]


@pytest.mark.parametrize("name", ["plans/demo.json", "plans/demo/0.json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[1]", b'{"schema_version": 99, "asked": []}', b"[" * 100_000],
)
def test_a_damaged_plan_is_a_line_and_stays(store, name, content, capsys):
    store.remember("demo", {cell(0): "k"})
    store.files.write(name, content)
    assert store.planned("demo") == {cell(0): "k"}
    board = load(store, TRACK, check=False)
    assert board.row("x").entry("a-v0").missing == {0}
    (problem,) = board.damaged
    assert str(problem).isprintable()
    assert store.files.full(name) in str(problem)
    assert str(problem) in board.table().replace("\\", "")
    for seed in range(1, 4):
        store.remember("demo", {cell(seed): "k"})
    assert store.files.read(name) == content


def test_a_plan_that_cannot_be_read_now_is_neither_empty_nor_replaced(store, monkeypatch):
    store.remember("demo", {cell(0): "k"})
    before = store.files.list("plans")

    def failing(names):
        for name in names:
            yield name, OSError(5, "503 Service Unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(store.files, "read_all", failing)
        for use in (
            lambda: store.planned("demo"),
            lambda: store.remember("demo", {cell(1): "k"}),
            lambda: store.plans.drop("demo", [cell(0)]),
        ):
            with pytest.raises(ZooError, match="503"):
                use()
    assert store.files.list("plans") == before


def test_folders_among_the_plans_are_no_plans(store):
    store.remember("demo", {cell(0): "k"})
    (store.root / "plans" / "folder.json").mkdir()
    (store.root / "plans" / "demo" / "nested.json").mkdir()
    (store.root / "plans" / "demo" / "link.json").symlink_to("nothing")
    assert store.plans.tracks() == ["demo"]
    assert store.planned("demo") == {cell(0): "k"}


@pytest.mark.parametrize("track", ["..", "a/b", "../x", "", ".hidden", "a\nb"])
def test_no_name_of_a_track_leads_elsewhere(store, track):
    with pytest.raises(ZooError, match="no name of a track"):
        store.remember(track, {cell(0): "k"})
    assert not (store.root / "plans").exists()


def forget(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["leaderboard", "forget", *map(str, arguments)])
    return ended.value.code


@pytest.fixture
def interrupted(store, tmp_path, monkeypatch):
    """A plan of two rows, of which one seed is finished, one has failed and one is damaged."""
    monkeypatch.setenv("ZOO_RUNS", str(store.root))
    made = [synthetic("x", "a-v0", 0), synthetic("x", "a-v0", 1, failure="no")]
    made.append(synthetic("x", "a-v0", 2))
    for result in made:
        store.put(result)
        store.remember("demo", {result.cell: result.key})
    store.path(made[2].cell, made[2].key).write_text("{")
    store.remember("demo", {cell(seed, name): "k" for name in ("x", "y") for seed in (3, 4)})
    other = Cell(algorithm="y", variant="tuned", dataset="b-v0", seed=3)
    store.remember("demo", {other: "k"})
    return store


def missing(store):
    board = load(store, TRACK, check=False)
    entries = ((row, d, row.entry(d)) for row in board.rows for d in board.datasets)
    return {(row.label, d, seed) for row, d, entry in entries for seed in entry.missing}


def test_what_is_missing_can_be_forgotten_and_no_result_is(interrupted, capsys):
    store = interrupted
    before = store.load()
    assert forget("--dry-run") == 0
    assert "5 planned cells without a result" in capsys.readouterr().out
    assert len(missing(store)) == 5
    assert forget("--algorithm", "y", "--seeds", "3") == 0
    assert missing(store) == {("x", "a-v0", 3), ("x", "a-v0", 4), ("y", "a-v0", 4)}
    out = capsys.readouterr().out
    assert "y on a-v0, seed 3" in out
    assert "y (tuned) on b-v0, seed 3" in out
    assert forget("--dataset", "a-v0") == 0
    assert missing(store) == set()
    assert store.load() == before
    assert {c.seed for c in store.planned("demo")} == {0, 1, 2}
    assert [row.label for row in load(store, TRACK, check=False).rows] == ["x"]
    assert forget() == 0
    assert "0 planned cells without a result" in capsys.readouterr().out


def test_forgetting_what_was_never_asked_for_is_an_error(interrupted, capsys):
    for option, name in (("--algorithm", "xx"), ("--dataset", "aa-v0"), ("--variant", "wrong")):
        assert forget(option, name) == 2
        assert name in capsys.readouterr().err
    assert len(missing(interrupted)) == 5


def test_forgetting_from_python_gives_the_cells(interrupted):
    found = zoo_leaderboard.forget(TRACK, algorithms=["y"], store=interrupted, dry_run=True)
    assert {str(c) for c in found} == {
        "y on a-v0, seed 3",
        "y on a-v0, seed 4",
        "y (tuned) on b-v0, seed 3",
    }
