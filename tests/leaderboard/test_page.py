import re
import shlex
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import site_of_harm as made
from click.testing import CliRunner
from synthetic import synthetic

from zoo_core import ZooError
from zoo_core.config import parse_assignments
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.commands.leaderboard import leaderboard
from zoo_leaderboard.report.page.charts import chart, mean_curve
from zoo_leaderboard.report.page.names import cell_page, row_page
from zoo_leaderboard.report.page.publish import publish
from zoo_leaderboard.report.page.reproduce import command
from zoo_leaderboard.report.page.texts import decimal, memory, numbers
from zoo_leaderboard.store import Store


class Page(HTMLParser):
    """A page's elements with their attributes, and its text."""

    VOID = frozenset({"meta", "link", "img", "input", "wbr", "path", "circle", "polyline", "br"})

    def __init__(self, path):
        super().__init__()
        self.path, self.elements, self.texts, self.open = path, [], [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{self.path}: <{tag}> closed out of order"

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, *tags):
        return [attrs for tag, attrs in self.elements if tag in tags]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site's folder, and its store."""
    root = tmp_path_factory.mktemp("page")
    store = made.fill(root / "runs")
    made.write(root / "site", store)
    return root / "site", store


@pytest.fixture(scope="module")
def pages(built):
    return [Page(path) for path in sorted(built[0].rglob("*.html"))]


@pytest.fixture
def without_figures(monkeypatch):
    """Drawing takes most of a small site's time."""
    monkeypatch.setattr("zoo_leaderboard.report.page.build.figures_of", lambda board: [])


def page(built, path):
    return Page(built[0] / path)


def test_every_tag_is_closed_in_order(pages):
    assert len(pages) > 10
    for found in pages:
        assert not found.open, found.path


def test_links_lead_to_files_of_the_site_and_nothing_is_loaded_from_elsewhere(built, pages):
    for found in pages:
        for tag, attrs in found.elements:
            for name in ("href", "src", "srcset", "action", "data", "xlink:href"):
                if name not in attrs:
                    continue
                parts = urlsplit(attrs[name])
                if parts.scheme:
                    assert (tag, name, parts.scheme) == ("a", "href", "https"), found.path
                    continue
                here = found.path if not parts.path else found.path.parent / unquote(parts.path)
                target = here.resolve()
                assert target.is_relative_to(built[0].resolve()), (found.path, attrs)
                assert target.is_file(), (found.path, attrs)
                if parts.fragment:
                    ids = {a.get("id") for _, a in Page(target).elements}
                    assert parts.fragment in ids, (found.path, attrs)


def test_everything_from_a_plugin_or_a_run_is_text(built, pages):
    everything = " ".join(found.text for found in pages)
    assert made.HARM in everything
    assert made.IMAGE in everything
    for found in pages:
        scripts = found.all("script")
        assert [Path(attrs["src"]).name for attrs in scripts] == ["page.js"], found.path
        assert {Path(attrs["src"]).suffix for attrs in found.all("img")} <= {".svg", ".png"}
        for tag, attrs in found.elements:
            assert not any(name.startswith("on") for name in attrs), (found.path, tag)
            assert "style" not in attrs
    algorithm = next(found for found in pages if "javascript:alert(1)" in found.text)
    assert not [a for a in algorithm.all("a") if a["href"].startswith(("javascript", "data"))]


def test_no_name_leads_out_of_the_folder(built):
    names = [p.relative_to(built[0]).as_posix() for p in built[0].rglob("*")]
    assert {p.name for p in built[0].parent.iterdir()} == {"runs", "site"}
    assert all(re.fullmatch(r"[a-zA-Z0-9/._~-]+", name) for name in names)
    assert row_page("demo", made.OUTSIDE) in names


def test_pages_can_be_read_without_sight(pages):
    for found in pages:
        assert found.all("html")[0]["lang"] == "en"
        assert found.all("main")
        assert all("alt" in attrs for attrs in found.all("img"))
        assert all("scope" in attrs for attrs in found.all("th")), found.path
        for attrs in found.all("svg"):
            assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label"), found.path
        levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h[1-6]", tag)]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(b - a <= 1 for a, b in pairwise(levels)), found.path
        ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
        assert len(ids) == len(set(ids)), found.path


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(f * p for f, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(a, b):
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_in_light_and_dark_as_wcag_asks():
    css = (resources.files("zoo_leaderboard.report.page") / "assets/page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for ground in ("ground", "raised"):
            for name in ("text", "muted", "accent", "good", "warn", "bad"):
                assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        # The darkest tint lies under links and small text.
        tint = [int(part) for part in re.search(r"--tint: ([\d, ]+)", block)[1].split(",")]
        share = float(re.search(r"\.t5 .*?(0\.\d+)\)", css)[1])
        base = [int(colours["ground"][i : i + 2], 16) for i in (1, 3, 5)]
        mixed = [round(share * t + (1 - share) * g) for t, g in zip(tint, base, strict=True)]
        under = "#" + "".join(f"{part:02x}" for part in mixed)
        assert _contrast(colours["text"], under) >= 4.5
        assert _contrast(colours["accent"], under) >= 3.0


def test_the_table_has_every_row_and_cell(built):
    found = page(built, "tracks/demo/index.html")
    assert "81.0 ± 1.0 (3)" in found.text
    assert "reduced budgets" in found.text
    labels = [attrs["data-value"] for attrs in found.all("th") if "data-value" in attrs]
    assert labels == ["kind", made.OUTSIDE, "absent", f"{made.NAME} (note={made.IMAGE})"]
    families = {attrs["data-family"] for attrs in found.all("tr") if "data-family" in attrs}
    assert families == {"cloning", "not installed", made.HARM}
    assert "failed" in found.text
    assert "missing" in found.text


def test_a_cell_shows_its_runs_and_what_became_of_them(built):
    label = f"{made.NAME} (note={made.IMAGE})"
    found = page(built, cell_page("demo", label, "a-v0"))
    assert "Seed 0 finished 20.0" in found.text
    assert f"Error: {made.IMAGE}" in found.text
    assert "2 missing planned, and without a result" in found.text
    assert f"note {made.IMAGE}" in found.text
    assert {"seed-0", "seed-1"} <= {attrs.get("id") for _, attrs in found.elements}
    description = next(a["aria-label"] for a in found.all("svg"))
    assert description == "score of 1 run against training steps: 0.0 at step 0, 20.0 at step 100"


def test_settings_and_versions_that_runs_share_are_said_once(tmp_path, without_figures):
    store = Store(tmp_path / "runs")
    for seed in range(3):
        result = synthetic("kind", "a-v0", seed, sources={"zoo_kind": "new" if seed else "old"})
        store.put(result.model_copy(update={"versions": {"torch": "9.9.9"}}))
    made.write(tmp_path / "site", store)
    text = Page(tmp_path / "site" / cell_page("demo", "kind", "a-v0")).text
    assert text.count("9.9.9") == 1
    assert "Seeds 1-2 zoo_kind new Seeds 0 zoo_kind old" in text


def test_an_algorithms_page_says_what_zoo_show_says_or_that_it_is_not_installed(built):
    kind = page(built, "algorithms/kind.html")
    assert "Somebody (2026). A paper ." in kind.text
    assert "https://example.org/paper" in [a["href"] for a in kind.all("a")]
    assert "an external learner" in kind.text
    assert "None known." in kind.text
    assert "How logged rewards are rescaled before training." in kind.text
    absent = page(built, "algorithms/absent.html")
    assert "not installed where this page was made" in absent.text
    assert row_page("demo", "absent").rpartition("tracks/")[2] in str(absent.all("a"))


def test_the_real_algorithms_have_their_parts_stages_and_deviations(tmp_path):
    from zoo_core import registry as registry_module
    from zoo_leaderboard.report.page.build import write_site

    installed = registry_module.installed()
    if "edp" not in installed.algorithms:
        pytest.skip("needs the plugin zoo-edp")
    write_site(tmp_path / "site", [])
    text = Page(tmp_path / "site/algorithms/edp.html").text
    spec = installed.algorithms["edp"].spec
    for part in ("dpm_solver", "update actor, trains sampler", "best_of_10 headline"):
        assert part in text
    assert " ".join(spec.deviations[0].split()) in text


def test_only_what_a_new_run_changes_is_written_again(tmp_path, without_figures):
    store = made.fill(tmp_path / "runs")
    made.write(tmp_path / "site", store)
    assert not made.write(tmp_path / "site", store).written
    store.put(synthetic("kind", "a-v0", 3, (0.0, 40.0, 77.0)))
    done = made.write(tmp_path / "site", store)
    html = {path for path in done.written if path.endswith(".html")}
    assert cell_page("demo", "kind", "a-v0") in html
    assert "tracks/demo/index.html" in html
    assert cell_page("demo", "kind", "b/c-v1") in done.unchanged
    assert cell_page("demo", "absent", "a-v0") in done.unchanged
    assert "tracks/demo/data/runs.csv" in done.written
    assert not done.removed


def test_a_stale_result_says_what_changed(tmp_path, without_figures):
    store = made.fill(tmp_path / "runs")
    board = load(store, made.TRACK, registry=made.registry(), check=False)
    entry = board.row("kind").entry("a-v0")
    entry.stale[1] = entry.finished.pop(1), "code of zoo_kind changed"
    from zoo_leaderboard.report.page.build import Ranking, write_site

    write_site(tmp_path / "site", [Ranking(board, "demo")], registry=made.registry())
    text = Page(tmp_path / "site" / cell_page("demo", "kind", "a-v0")).text
    assert "Changed since: code of zoo_kind changed" in text


def test_the_command_of_a_row_asks_for_that_row(tmp_path):
    store = Store(tmp_path / "runs")
    values = {"a.b": "two words", "c": "7", "d": 7, "e": [1, 2], "f": None, "g": "$(rm -rf /)"}
    for seed in (0, 1, 2, 7):
        result = synthetic("kind", "b/c-v1", seed, variant="tuned", settings=values)
        store.put(result.model_copy(update={"machine": {"device": "cuda", "threads": "1"}}))
    board = load(store, made.TRACK, check=False)
    words = shlex.split(command(board, "demo", board.rows[0]))
    assert words[:3] == ["zoo", "leaderboard", "run"]
    options = list(zip(words[3::2], words[4::2], strict=True))
    assert parse_assignments([value for name, value in options if name == "--set"]) == values
    rest = {name: value for name, value in options if name != "--set"}
    assert rest == {
        **{"--track": "demo", "--algorithm": "kind", "--dataset": "b/c-v1"},
        **{"--variant": "tuned", "--seeds": "0-2,7", "--device": "cuda"},
    }


def test_a_command_repeats_nothing_that_the_track_says(built):
    board = load(built[1], made.TRACK, check=False)
    row = board.row("kind")
    assert command(board, "demo") == "zoo leaderboard run --track demo"
    assert command(board, "demo", row) == (
        "zoo leaderboard run --track demo --algorithm kind --seeds 0-2"
    )
    assert "--dataset a-v0" in command(board, "demo", row, "a-v0")


def test_a_chart_puts_points_where_they_belong():
    found = chart([("run", [(0, 0.0), (100, 50.0), (200, 100.0)])], normalised=True, name="it")
    x, y = ({text: place for place, text in ticks} for ticks in (found.x_ticks, found.y_ticks))
    points = [tuple(map(float, p.split(","))) for p in found.lines[0].points.split()]
    assert points[0] == (x["0"], y["0"])
    assert points[2] == (x["200"], y["100"])
    assert points[1] == pytest.approx(((x["0"] + x["200"]) / 2, (y["0"] + y["100"]) / 2))
    assert found.perfect == y["100"]
    assert chart([("run", [])], normalised=True, name="it") is None
    flat = chart([("run", [(5, -3.0)])], normalised=False, name="it")
    assert flat.perfect is None
    assert "−3.0 at step 5" in flat.description


def test_the_mean_curve_covers_the_steps_that_all_have():
    assert mean_curve([[(0, 1.0), (1, 2.0)], [(1, 4.0), (2, 9.0)]]) == [(1, 3.0)]
    assert mean_curve([]) == []


def test_numbers_are_written_for_people():
    assert [decimal(v) for v in (12.34, -0.04, -4.0, None)] == ["12.3", "0.0", "−4.0", "–"]
    assert decimal(1234.5) == "1,234.5"
    assert numbers([7, 0, 1, 2, 2]) == "0-2,7"
    assert [memory(v) for v in (None, 512e6, 1.5e9)] == ["–", "512 MB", "1.5 GB"]


def test_the_command_writes_every_track_of_a_store(tmp_path, monkeypatch, without_figures):
    monkeypatch.setenv("ZOO_PLUGINS", "")
    store = Store(tmp_path / "runs")
    store.put(synthetic("kind", "a-v0", 0, track="demo"))
    store.put(synthetic("kind", "a-v0", 0, track="lost"))
    arguments = ["page", "--store", str(store.root), "--out", str(tmp_path / "site")]
    done = CliRunner().invoke(leaderboard, arguments)
    assert done.exit_code == 0, done.output
    assert "files written, 0 unchanged, 0 removed" in done.output
    assert "track 'lost' is left out: give its file by --track FILE.toml" in done.output
    again = CliRunner().invoke(leaderboard, arguments)
    assert "0 files written" in again.output
    assert "kind" in Page(tmp_path / "site/tracks/demo/index.html").text


def test_a_track_of_ones_own_is_offered_with_its_file(tmp_path, without_figures):
    store = Store(tmp_path / "runs")
    store.put(synthetic("kind", "a-v0", 0, track="mine"))
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nsummary = "my own"\ndatasets = ["a-v0"]\n')
    publish(tmp_path / "site", store, [file])
    found = Page(tmp_path / "site/tracks/mine/index.html")
    assert "zoo leaderboard run --track mine.toml" in found.text
    assert (tmp_path / "site/tracks/mine/data/mine.toml").read_text() == file.read_text()
    with pytest.raises(ZooError, match="two of the tracks are called 'mine'"):
        publish(tmp_path / "site", store, [file, file])


def test_what_cannot_be_published_is_refused_in_one_line(tmp_path):
    with pytest.raises(ZooError, match="no store at"):
        publish(tmp_path / "site", tmp_path / "nothing")
    (tmp_path / "runs").mkdir()
    with pytest.raises(ZooError, match="no run of a known track in"):
        publish(tmp_path / "site", tmp_path / "runs")
    with pytest.raises(ZooError, match="unknown track 'no-such-track'"):
        publish(tmp_path / "site", tmp_path / "runs", ["no-such-track"])
    with pytest.raises(ZooError, match="is not empty"):
        publish(tmp_path, tmp_path / "runs")
    assert not (tmp_path / "site").exists()
