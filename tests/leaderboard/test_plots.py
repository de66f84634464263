from xml.etree import ElementTree

import pytest
from synthetic import synthetic

from zoo_core import UnknownName, ZooError
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.commands.leaderboard import plot_command
from zoo_leaderboard.report.plots import KINDS, MARKERS, PALETTE, styles
from zoo_leaderboard.report.plots.curves import learning_curves
from zoo_leaderboard.report.plots.heatmap import score_heatmap
from zoo_leaderboard.report.plots.improvement import improvement_matrix
from zoo_leaderboard.result import Times
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

TRACK = Track(name="demo", summary="made up", datasets=["a-v0", "b/c-v1", "d-v0"])


def board(folder, *results):
    store = Store(folder / "runs")
    for result in results:
        store.put(result.model_copy(update={"times": Times(training=5.0, finished_at="x")}))
    return load(store, TRACK, check=False)


def results(rows, datasets, seeds):
    return [
        synthetic(name, dataset, seed, (0.0, 30.0 * place + seed, 20.0 * place + seed))
        for place, name in enumerate(rows)
        for dataset in datasets
        for seed in range(seeds)
    ]


@pytest.fixture
def full(tmp_path):
    return board(tmp_path, *results(["weak", "fair", "<good> & $x$"], ["a-v0", "b/c-v1"], 3))


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_drawn_and_an_unchanged_board_gives_an_unchanged_file(full, tmp_path, kind):
    assert KINDS[kind].fits(full)
    path = full.plot(tmp_path / "deep" / f"{kind}.png", kind)
    assert path.stat().st_size > 5000
    again = full.plot(tmp_path / f"{kind}.png", kind)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_single_runs_and_of_gaps(tmp_path, kind):
    found = board(
        tmp_path,
        *results(["weak", "fair"], ["a-v0"], 1),
        synthetic("weak", "d-v0", 0),
        synthetic("fair", "d-v0", 0, failure="no"),
    )
    assert found.plot(tmp_path / f"{kind}.png", kind).stat().st_size > 5000


@pytest.mark.parametrize("draw", [score_heatmap, improvement_matrix])
def test_labels_with_settings_lie_inside_the_picture(tmp_path, draw):
    settings = {"sampler.hidden": 64, "sampler.std": "state_independent", "steps": 3000}
    figure = draw(
        board(
            tmp_path,
            *(
                synthetic("td3_bc", "a-v0", seed, (0.0, 9.0), settings={**settings, "steps": n})
                for n in (2000, 3000)
                for seed in range(2)
            ),
        )
    )
    figure.draw_without_rendering()
    left, bottom = figure.bbox.extents[:2]
    panel = figure.axes[0]
    assert all(t.get_window_extent().x0 >= left for t in panel.get_yticklabels())
    assert all(t.get_window_extent().y0 >= bottom for t in panel.get_xticklabels())


@pytest.mark.parametrize("datasets", [["a-v0"], ["a-v0", "b/c-v1"]])
def test_the_legend_of_many_long_names_lies_inside_the_picture(tmp_path, datasets):
    rows = [f"an_algorithm_of_{i}" for i in range(15)]
    figure = learning_curves(board(tmp_path, *results(rows, datasets, 1)))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    inside = figure.bbox.extents
    x0, y0, x1, y1 = legend.get_window_extent().extents
    assert (inside[0] <= x0, inside[1] <= y0, x1 <= inside[2], y1 <= inside[3]) == (True,) * 4


@pytest.mark.parametrize("kind", KINDS)
def test_figures_without_data_say_what_is_missing(tmp_path, kind):
    found = board(tmp_path, synthetic("weak", "a-v0", 0, failure="no"))
    assert not KINDS[kind].fits(found)
    with pytest.raises(ZooError, match="track 'demo'"):
        found.plot(tmp_path / "x.png", kind)
    assert not (tmp_path / "x.png").exists()


def test_an_unknown_figure_and_an_unknown_ending(full, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'curves'"):
        full.plot(tmp_path / "x.png", "curve")
    with pytest.raises(ZooError, match="cannot write the figure"):
        full.plot(tmp_path / "curves.nonsense")
    assert full.plot(tmp_path / "curves.svg").stat().st_size > 5000


def test_a_rows_style_is_stable_and_no_two_share_one():
    alone = styles(["td3_bc"])
    together = styles(["td3_bc", "td3_bc"])
    assert alone == together
    many = [f"algorithm {i}" for i in range(len(PALETTE) * len(MARKERS))]
    found = styles(many)
    assert len(set(found.values())) == len(many)
    assert len({colour for colour, _ in styles(many[: len(PALETTE)]).values()}) == len(PALETTE)


def test_more_rows_than_styles_share_them():
    many = [f"algorithm {i}" for i in range(3 * len(PALETTE) * len(MARKERS))]
    assert set(styles(many)) == set(many)


def test_the_command_offers_every_figure():
    (option,) = (option for option in plot_command.params if option.name == "kinds")
    assert list(option.type.choices) == [*KINDS, "all"]


@pytest.mark.parametrize("kind", ["curves", "heatmap"])
def test_names_are_text_and_no_formulas_and_an_svg_stays_xml(tmp_path, kind):
    store = Store(tmp_path / "runs")
    for label in ("$\\frac{$", "a$b$", "x\x1b[31m\u202e<&>--"):
        for seed in range(2):
            store.put(synthetic(label, "a-v0", seed, (0.0, 50.0 + seed)))
    found = load(store, Track(name="demo", summary="", datasets=["a-v0"]), check=False)
    ElementTree.parse(found.plot(tmp_path / "figure.svg", kind))
