import json
import os
import signal

import pytest

from zoo_core import ZooError
from zoo_leaderboard.report.page.names import link, slug
from zoo_leaderboard.report.page.site import MANIFEST, Site


def write(folder, **files):
    site = Site(folder)
    for name, content in files.items():
        site.add_text(f"{name}/page.html", content)
    return site.write()


def test_a_plain_name_stays_as_it_is_and_a_slash_becomes_a_tilde():
    assert slug("td3_bc") == "td3_bc"
    assert slug("zoo/bandit/modes-v0") == "zoo~bandit~modes-v0"


@pytest.mark.parametrize(
    "name",
    [
        *("..", "../../etc/passwd", "/etc/passwd", "a/../b", ".hidden", "", "a//b", "a\\b", "a\0b"),
        *("<script>", 'a"b', "a%2Fb", "BC", "bc (tuned)", "x" * 300, "con", "index", "ä", "\ud800"),
    ],
)
def test_any_other_name_becomes_a_safe_one(name):
    text = slug(name)
    assert text == link("", text)
    assert not set(text) - set("abcdefghijklmnopqrstuvwxyz0123456789-~")
    assert 0 < len(text) < 100


def test_different_names_have_different_files():
    names = ["a/b", "a~b", "a-b", "A/b", "a b", "a.b", "td3_bc", "TD3_BC", "<a>", "(a)", "a", ""]
    assert len({slug(name) for name in names}) == len(names)


def test_links_are_relative():
    assert link("index.html", "tracks/demo/index.html") == "tracks/demo/index.html"
    assert link("tracks/demo/index.html", "index.html") == "../../index.html"
    assert link("tracks/a/x.html", "tracks/b/y.html") == "../b/y.html"


def test_a_file_is_written_again_only_when_it_changed_or_is_gone(tmp_path):
    assert write(tmp_path / "site", a="1", b="2").written == ["a/page.html", "b/page.html"]
    old = (tmp_path / "site/a/page.html").stat().st_mtime_ns
    again = write(tmp_path / "site", a="1", b="3")
    assert (again.written, again.unchanged) == (["b/page.html"], ["a/page.html"])
    assert (tmp_path / "site/a/page.html").stat().st_mtime_ns == old
    (tmp_path / "site/a/page.html").unlink()
    assert write(tmp_path / "site", a="1", b="3").written == ["a/page.html"]
    assert not write(tmp_path / "site", a="1", b="3").written


def test_a_costly_file_is_not_made_for_the_same_digest(tmp_path):
    def never():
        raise AssertionError

    for make in (lambda: "page", never):
        site = Site(tmp_path)
        site.add("page.html", "digest", make)
        site.write()
    assert (tmp_path / "page.html").read_text() == "page"


def test_files_that_are_no_longer_of_the_site_go_and_others_stay(tmp_path):
    write(tmp_path, a="1", b="2")
    (tmp_path / "b/notes.txt").write_text("mine")
    (tmp_path / "CNAME").write_text("zoo.example")
    assert write(tmp_path).removed == ["a/page.html", "b/page.html"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["CNAME", "b", "notes.txt", MANIFEST]


def test_a_folder_of_others_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ZooError, match=r"is not empty and has no zoo-site\.json"):
        Site(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ZooError, match="cannot write to"):
        Site(tmp_path / "thesis.tex")


def test_a_file_of_others_is_never_overwritten(tmp_path):
    write(tmp_path, a="1")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/page.html").write_text("mine")
    with pytest.raises(ZooError, match="is in the way"):
        write(tmp_path, a="2", b="2")
    assert (tmp_path / "b/page.html").read_text() == "mine"
    assert (tmp_path / "a/page.html").read_text() == "1"


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", '{"zoo_site": 2, "files": {}}', '{"zoo_site": 1, "files": []}'),
        '{"zoo_site": 1, "files": {"../victim": "x"}}',
        '{"zoo_site": 1, "files": {"/etc/passwd": "x"}}',
        '{"zoo_site": 1, "files": {"a": 1}}',
    ],
)
def test_a_manifest_that_is_damaged_or_leads_out_is_refused(tmp_path, content):
    (tmp_path / "site").mkdir()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "site" / MANIFEST).write_text(content)
    with pytest.raises(ZooError, match="is not a manifest"):
        Site(tmp_path / "site")


def test_nothing_is_removed_through_a_link_out_of_the_folder(tmp_path):
    write(tmp_path / "site", a="1")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/page.html").write_text("mine")
    (tmp_path / "site/a/page.html").unlink()
    (tmp_path / "site/a").rmdir()
    (tmp_path / "site/a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ZooError, match="leads out of"):
        write(tmp_path / "site")
    assert (tmp_path / "elsewhere/page.html").read_text() == "mine"


def test_an_interrupted_site_is_completed_by_the_next_call(tmp_path):
    write(tmp_path, a="old")

    def stop():
        raise KeyboardInterrupt

    site = Site(tmp_path)
    site.add_text("a/page.html", "new")
    site.add_text("b/page.html", "new")
    site.add("c/page.html", "c", stop)
    with pytest.raises(KeyboardInterrupt):
        site.write()
    listed = json.loads((tmp_path / MANIFEST).read_text())["files"]
    assert set(listed) == {"a/page.html", "b/page.html", "c/page.html"}
    # Though the manifest once had this digest, the file holds another text by now.
    assert write(tmp_path, a="old", b="new").written == ["a/page.html", "b/page.html"]
    assert (tmp_path / "a/page.html").read_text() == "old"


def test_several_processes_make_the_files_and_a_killed_one_is_told(tmp_path):
    makers = tmp_path / "makers"
    makers.mkdir()

    def make(name):
        (makers / str(os.getpid())).touch()
        return f"this is {name}"

    site = Site(tmp_path / "site")
    for i in range(20):
        site.add(f"{i}.html", str(i), lambda i=i: make(i))
    assert len(site.write(workers=2).written) == 20
    assert {file.name for file in makers.iterdir()}.isdisjoint({str(os.getpid())})
    for i in range(20):
        assert (tmp_path / "site" / f"{i}.html").read_text() == f"this is {i}"

    site = Site(tmp_path / "site")
    site.add("new.html", "new", lambda: os.kill(os.getpid(), signal.SIGKILL))
    site.add("other.html", "other", lambda: "other")
    with pytest.raises(ZooError, match="was killed; run it again, with --workers 1"):
        site.write(workers=2)
    # The next call completes what that one left.
    site = Site(tmp_path / "site")
    site.add("new.html", "new", lambda: "made")
    site.write(workers=2)
    assert (tmp_path / "site" / "new.html").read_text() == "made"


def test_what_a_process_refuses_is_the_callers_to_hear(tmp_path):
    def refuse():
        raise ZooError("no such place")

    site = Site(tmp_path / "site")
    site.add("a.html", "a", refuse)
    site.add("b.html", "b", lambda: "b")
    with pytest.raises(ZooError, match="no such place"):
        site.write(workers=2)
