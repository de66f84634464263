"""What a table used, as BibTeX that a parser takes."""

from types import SimpleNamespace

import pytest

from zoo_core.errors import ZooError
from zoo_core.registry import installed
from zoo_core.specs import Citation
from zoo_leaderboard.report.citations import (
    _from_fields,
    _once,
    citations,
    entries_of,
    works,
)


def parsed(text):
    bibtexparser = pytest.importorskip("bibtexparser")
    library = bibtexparser.parse_string(text)
    assert not library.failed_blocks
    return {entry.key: entry for entry in library.entries}


def board(*cells, source=None):
    reference = SimpleNamespace(source=source) if source else None
    runs = [
        SimpleNamespace(place=SimpleNamespace(algorithm=a, dataset=d), reference=reference)
        for a, d in cells
    ]
    return SimpleNamespace(runs=runs, track=SimpleNamespace(name="mine"))


@pytest.fixture
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def test_a_table_cites_each_work_once(offline):
    found = citations(
        board(
            ("diffusion_bc", "zoo/pendulum/mixed-v0"),
            ("diffusion_ql", "zoo/pendulum/mixed-v0"),
            ("iql", "D4RL/door/human-v2"),
        )
    )
    entries = parsed(found.bibtex())
    assert len(entries) == len(found.entries)
    assert set(entries) == {
        "zoo",
        "wang2023diffusion",
        "kostrikov2022offline",
        "minari",
        "towers2024gymnasium",
        "agarwal2021deep",
        "gymnasium_robotics2023github",
        "todorov2012mujoco",
        "fu2020d4rl",
        "rajeswaran2018learning",
    }
    assert found.unknown == ()


def test_reference_scores_of_d4rl_cite_it(offline):
    cells = ("bc", "mujoco/hopper/medium-v0+mujoco/hopper/expert-v0")
    with_references = citations(board(cells, source="D4RL d4rl/infos.py"))
    assert "fu2020d4rl" in {entry.key for entry in with_references.entries}
    without = citations(board(cells))
    assert "fu2020d4rl" not in {entry.key for entry in without.entries}
    assert "todorov2012mujoco" in {entry.key for entry in without.entries}
    assert without.unknown == ()


def test_what_is_not_known_is_named(offline):
    found = citations(board(("nobodys", "mine/thing-v0")))
    assert [line.split(" is not")[0] for line in found.unknown] == [
        "algorithm 'nobodys'",
        "dataset 'mine/thing-v0'",
        "environment 'of mine/thing-v0'",
    ]
    with pytest.raises(ZooError, match="no finished run of track 'mine'"):
        citations(board())


def test_every_shipped_entry_is_bibtex_with_the_usual_fields():
    texts = [work.bibtex for work in works()]
    texts += [each.spec.cite.bibtex for each in installed().algorithms.values()]
    for text in texts:
        ((_, entry),) = parsed(text).items()
        assert {"title", "author", "year"} <= set(entry.fields_dict)


@pytest.mark.parametrize(
    "text", ["", "no entry", "@misc{a, title={open}", '@misc{a, title="open}', "@misc{}"]
)
def test_what_is_no_bibtex_is_found_out(text):
    with pytest.raises(ValueError, match="has"):
        list(entries_of(text))


def test_a_strangers_broken_entry_is_made_anew_from_its_fields(offline):
    cite = Citation(
        title="{\\input{/etc/passwd}} 50% & more_\x1b[2J",
        authors="A. Nobody\nand B. Else",
        year=2026,
        url="https://example.org/a_b",
        bibtex="@misc{broken, title={",
    )
    registered = SimpleNamespace(spec=SimpleNamespace(cite=cite))
    registry = SimpleNamespace(algorithms={"new": registered})
    found = citations(board(("new", "zoo/bandit/modes-v0")), registry)
    assert found.unknown == (
        "algorithm 'new': its BibTeX has a brace that does not close; made anew",
    )
    entry = parsed(found.bibtex())["new2026"]
    assert entry["title"] == r"input/etc/passwd 50\% \& more\_[2J"
    assert entry["author"] == "A. Nobody and B. Else"
    assert entry["url"] == "https://example.org/a_b"
    assert "\x1b" not in found.bibtex()
    assert _from_fields("new", cite).key == "new2026"


def test_different_works_with_one_key_get_keys_of_their_own():
    texts = "@misc{a, title={One},\n}", "@misc{a, title={Two},\n}", "@misc{b, title={{O}ne},\n}"
    kept = _once(entry for text in texts for entry in entries_of(text))
    assert [entry.key for entry in kept] == ["a", "a-2"]
    assert kept[1].text.startswith("@misc{a-2, title={Two}")
