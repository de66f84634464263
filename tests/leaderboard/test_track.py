import itertools

import pytest

from zoo_core import ZooError
from zoo_leaderboard.planning import parse_seeds
from zoo_leaderboard.track import known, load_track

FILE = """
name = "mine"
summary = "made up"
datasets = {}
[protocol]
episodes = 3
[defaults]
steps = 10
critic.hidden = 64
[algorithms."diffusion_*"]
steps = 20
[algorithms.diffusion_ql]
steps = 30
"""


def written(tmp_path, text):
    path = tmp_path / "track.toml"
    path.write_text(text)
    return load_track(path)


def test_later_tables_win(tmp_path):
    text = FILE.replace("datasets = {}\n", "") + (
        '[datasets."a/b-v0"]\nsteps = 40\nalgorithms."td3_*".steps = 50\n'
        '[datasets."0.5*a/b-v0 + c-v1"]\n'
    )
    track = written(tmp_path, text)
    assert track.dataset_ids() == ["a/b-v0", "0.5*a/b-v0+c-v1"]
    assert track.protocol.episodes == 3
    other = "c-v1"
    assert track.values("bc", other) == {"steps": 10, "critic.hidden": 64}
    assert track.values("diffusion_bc", other)["steps"] == 20
    assert track.values("diffusion_ql", other)["steps"] == 30
    assert track.values("diffusion_ql", "a/b-v0")["steps"] == 40
    assert track.values("td3_bc", "a/b-v0") == {"steps": 50, "critic.hidden": 64}


def test_what_a_search_spent_is_declared(tmp_path):
    track = written(
        tmp_path,
        'name = "mine"\nsummary = ""\n[tuning_evaluations]\n"*" = 1\ncql = 5\n'
        '[datasets."a-v0"]\nsteps = 10\ntuning_evaluations.cql = 35\n'
        'tuning_evaluations."sac_*" = 6\n[datasets."b-v0"]\n',
    )
    assert track.values("cql", "a-v0") == {"steps": 10}
    cells = itertools.product(("cql", "sac_off", "bc"), ("a-v0", "b-v0"))
    spent = {cell: track.tuned_by(*cell) for cell in cells}
    assert spent == {
        ("cql", "a-v0"): 35,
        ("cql", "b-v0"): 5,
        ("sac_off", "a-v0"): 6,
        ("sac_off", "b-v0"): 1,
        ("bc", "a-v0"): 1,
        ("bc", "b-v0"): 1,
    }


def test_nothing_declared_is_nothing_spent_where_nothing_is_set(tmp_path):
    text = 'name = "mine"\nsummary = ""\n[datasets."a-v0"]\nalgorithms.bc.steps = 10\n'
    track = written(tmp_path, text)
    assert track.tuned_by("cql", "a-v0") == 0
    assert track.tuned_by("bc", "a-v0") is None
    assert load_track("d4rl").tuned_by("iql", "D4RL/pen/human-v2") == 0


def test_datasets_may_be_a_list(tmp_path):
    track = written(tmp_path, FILE.replace("{}", '["a-v0", "b-v0"]'))
    assert track.dataset_ids() == ["a-v0", "b-v0"]


def test_the_shipped_tracks():
    assert set(known()) >= {"demo", "d4rl"}
    demo = load_track("demo")
    assert demo.reduced
    assert demo.seeds == (0, 1, 2)
    assert demo.dataset_ids() == [
        "zoo/bandit/modes-v0",
        "zoo/pendulum/mixed-v0",
        "zoo/pointmaze/umaze-v0",
    ]
    assert not load_track("d4rl").reduced


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("summary", "sumary", "unknown key 'sumary'"),
        ('"mine"', '"../mine"', "a track's name is letters"),
        ("episodes = 3", "episodes = 0", "protocol.episodes"),
        ("datasets = {}", "datasets = 3", "datasets"),
        ("datasets = {}", 'datasets = ["no id"]', "is no dataset id"),
        ("steps = 10", "steps = ", "Invalid value"),
    ],
)
def test_a_bad_track_is_one_line(tmp_path, old, new, message):
    with pytest.raises(ZooError, match=message) as caught:
        written(tmp_path, FILE.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_a_track_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_track("demo").seeds = (0,)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", (3,)), ("0-4", (0, 1, 2, 3, 4)), ("0,2,5-7", (0, 2, 5, 6, 7)), ("1,1, 0-1", (1, 0))],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "-1", "1-", "3-1", "1.5", "0-999999999", "0;1"])
def test_bad_seeds(text):
    with pytest.raises(ZooError, match="seeds"):
        parse_seeds(text)
