"""A small site of made-up results, with a plugin that means harm and gaps of every kind."""

from synthetic import synthetic

from zoo_core import AlgorithmConfig, AlgorithmSpec, Citation, hookimpl
from zoo_core.registry import Plugin, Registry
from zoo_leaderboard.board.loading import load
from zoo_leaderboard.report.page.build import Ranking, write_site
from zoo_leaderboard.result import Cell
from zoo_leaderboard.store import Store
from zoo_leaderboard.track import Track

TRACK = Track(
    name="demo",
    summary="made up <b>bold</b>",
    reduced=True,
    datasets=["a-v0", "b/c-v1"],
    defaults={"steps": 100},
)
HARM = "<script>window.harmed = true</script>"
IMAGE = '"><img src="https://example.org/spy.png" onerror="window.harmed = true">'
NAME = "<script>harmed"
"""An algorithm's name is one printable word without slashes."""
OUTSIDE = "../../../outside"


class Harmful:
    """Offers an algorithm whose every text is hostile, and a friendly one."""

    @hookimpl
    def zoo_algorithms(self):
        def fit(config, data, seed, device):
            raise NotImplementedError

        cite = Citation(IMAGE, HARM, 2026, "javascript:alert(1)", IMAGE, "data:text/html," + HARM)
        yield AlgorithmSpec(
            NAME, AlgorithmConfig, cite, summary=IMAGE, family=HARM, deviations=(IMAGE,), fit=fit
        )
        honest = Citation("A paper", "Somebody", 2026, "https://example.org/paper")
        yield AlgorithmSpec("kind", AlgorithmConfig, honest, family="cloning", fit=fit)


def registry():
    """What the plugin offers."""
    found = Registry()
    found.add(Harmful(), Plugin("harm" + HARM, "zoo-" + HARM, IMAGE, "harmful"))
    return found


def fill(root):
    """A store: `kind` has finished both datasets, the hostile algorithm has gaps."""
    store = Store(root)
    for seed in range(3):
        for dataset, level in (("a-v0", 80.0), ("b/c-v1", 60.0)):
            store.put(synthetic("kind", dataset, seed, (0.0, level / 2, level + seed)))
        store.put(synthetic("absent", "a-v0", seed, (0.0, 1.0, 90.0 + seed)))
        store.put(synthetic("absent", "b/c-v1", seed, (0.0, 1.0, 10.0 + seed)))
    store.put(synthetic(NAME, "a-v0", 0, (0.0, 20.0), settings={"note": IMAGE}))
    store.put(synthetic(NAME, "a-v0", 1, failure=IMAGE, settings={"note": IMAGE}))
    store.put(synthetic(OUTSIDE, "b/c-v1", 0))
    missing = Cell(algorithm=NAME, dataset="a-v0", seed=2, settings={"note": IMAGE})
    store.remember("demo", {missing: "0"})
    return store


def write(folder, store):
    """Writes the site, or what changed of it."""
    board = load(store, TRACK, registry=registry(), check=False)
    return write_site(folder, [Ranking(board, "demo")], registry=registry())
