"""The zoo's leaderboard: plan, run, store, statistics, tables and figures of offline RL.

    import zoo_leaderboard as board

    run = board.train("td3_bc", "zoo/pendulum/mixed-v0", settings={"steps": 5000})
    run.result.score                       # normalised, of the last checkpoint
    run.agent                              # a zoo_core.Agent
    board.evaluate(run.folder, episodes=50).score
    board.watch(run.folder, "policy.mp4")                    # a video
    board.export(run.folder, "policy.onnx", "onnx")         # raw observations in, actions out

    board.run("demo", algorithms=["bc", "td3_bc"], seeds=range(3))   # only what is missing
    demo = board.load("runs", "demo")      # from the store's files alone
    print(demo.table("markdown"))          # or csv, latex, json
    print(demo.published("markdown"))      # beside published scores, the differences named
    demo.scores()                          # pandas: one line a run
    demo.curves()                          # pandas: one line an evaluation
    demo.plot("curves.png")
    board.publish("site", "runs")          # static pages of all tracks

Each step reads files only and can be done again alone:

    discover plugins -> `planning.plan` -> `runner` -> `store.Store` -> `stats` -> `tables`, `plots`

A result's key is a hash of all that decides it: the code of the plugin and of the parts and losses
that it uses, the core's semantics, the resolved settings, the dataset's contents, the environment,
the track's protocol and the seed. A result whose key no longer matches is shown as stale; it is
never used again and never deleted. The score is the last checkpoint's.

Datasets are in `zoo_leaderboard.datasets`, tracks in `zoo_leaderboard.track`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_leaderboard.board.board import Board
    from zoo_leaderboard.board.loading import load
    from zoo_leaderboard.forgetting import forget
    from zoo_leaderboard.policies.exporting import Exported, export
    from zoo_leaderboard.policies.scoring import Evaluated, evaluate
    from zoo_leaderboard.policies.training import Trained, train
    from zoo_leaderboard.policies.watching import Watched, watch
    from zoo_leaderboard.ranking import prepare, run
    from zoo_leaderboard.report.page.publish import publish
    from zoo_leaderboard.result import Result
    from zoo_leaderboard.running.ray import Ray
    from zoo_leaderboard.running.runner import Summary
    from zoo_leaderboard.store import Store
    from zoo_leaderboard.store.merge import merge
    from zoo_leaderboard.track import Track, load_track

_HOMES = {
    "Board": "board.board",
    "Evaluated": "policies.scoring",
    "Exported": "policies.exporting",
    "Ray": "running.ray",
    "Result": "result",
    "Store": "store",
    "Summary": "running.runner",
    "Track": "track",
    "Trained": "policies.training",
    "Watched": "policies.watching",
    "evaluate": "policies.scoring",
    "export": "policies.exporting",
    "forget": "forgetting",
    "load": "board.loading",
    "load_track": "track",
    "merge": "store.merge",
    "prepare": "ranking",
    "publish": "report.page.publish",
    "run": "ranking",
    "train": "policies.training",
    "watch": "policies.watching",
}

__all__ = [
    "Board",
    "Evaluated",
    "Exported",
    "Ray",
    "Result",
    "Store",
    "Summary",
    "Track",
    "Trained",
    "Watched",
    "evaluate",
    "export",
    "forget",
    "load",
    "load_track",
    "merge",
    "prepare",
    "publish",
    "run",
    "train",
    "watch",
]


def __getattr__(name: str) -> Any:
    # The command `zoo` imports this package whatever is asked for: gymnasium, pandas and the rest
    # are only loaded by what needs them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
