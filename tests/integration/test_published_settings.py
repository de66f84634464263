"""What every shipped plugin says of its source, and which datasets its tuned values are for."""

import fnmatch
import re

import pytest

import zoo_core
from zoo_core.recipe import tuned_values
from zoo_leaderboard.datasets.embedded import IDS
from zoo_leaderboard.track import load_track

SHIPPED = {
    name: entry.spec
    for name, entry in zoo_core.installed().algorithms.items()
    if entry.plugin.distribution.startswith("zoo-")
}
DATASETS = [
    *load_track("d4rl").dataset_ids(),
    *IDS,
    "d3rlpy/pendulum/replay-v1",
    "rlzoo3/hopper/medium-expert-v0",
    *("pen-human-v1", "hopper-medium-replay-v2", "antmaze-umaze-v2", "kitchen-mixed-v0"),
]


@pytest.mark.parametrize("name", SHIPPED)
def test_says_where_it_is_from_and_where_it_differs(name):
    spec = SHIPPED[name]
    assert spec.cite.bibtex.startswith("@")
    assert str(spec.cite.year) in spec.cite.bibtex
    assert spec.deviations


@pytest.mark.parametrize("name", SHIPPED)
def test_tuned_values_are_for_the_domain_that_their_pattern_names(name):
    """`pen` is a word of `D4RL/pen/human-v2`, not of `open`, `pendulum`, `invertedpendulum`."""
    for pattern in SHIPPED[name].tuned:
        domain = re.match(r"\*/([a-z0-9]+)", pattern)
        assert domain, f"{pattern} does not begin at a word"
        for dataset in DATASETS:
            if any(fnmatch.fnmatchcase(text, pattern) for text in (dataset, f"/{dataset}")):
                assert domain[1] in re.split("[/+-]", dataset), (pattern, dataset)


@pytest.mark.parametrize(
    ("name", "dataset", "values"),
    [
        ("diffusion_bc", "D4RL/pen/human-v2", {"steps": 1_000_000, "lr": 3e-5}),
        ("diffusion_bc", "D4RL/pen/expert-v2", {}),
        ("diffusion_bc", "mujoco/invertedpendulum/expert-v0", {}),
        ("diffusion_bc", "kitchen-complete-v0", {"steps": 250_000}),
        ("diffusion_ql", "D4RL/pen/cloned-v2", {"lr": 3e-5, "eta": 0.1, "max_grad_norm": 8.0}),
        ("diffusion_ql", "rlzoo3/hopper/medium-expert-v0", {"eta": 1.0, "max_grad_norm": 5.0}),
        (
            "diffusion_ql",
            "mujoco/walker2d/medium-v0+mujoco/walker2d/expert-v0",
            {"max_grad_norm": 5.0},
        ),
        ("diffusion_ql", "antmaze-large-play-v2", {"eta": 4.5, "max_q_backup": True}),
        ("cql", "D4RL/pointmaze/open-v2", {}),
        ("cql", "D4RL/pen/human-v2", {"lagrange_threshold": 5.0, "min_q_weight": 1.0}),
        ("cql", "hopper-medium-v2", {"min_q_weight": 10.0}),
        ("edp", "D4RL/pointmaze/open-dense-v2", {}),
        ("edp", "D4RL/pen/human-v2", {"reward": "unit_range", "max_grad_norm": 7.0}),
        ("sfbc", "mujoco/hopper/medium-v0", {"acts.resampled.average": 4}),
        ("qgpo", "D4RL/antmaze/umaze-v1", {"reward": "minus_one", "samples": 32}),
        ("iql", "D4RL/antmaze/large-play-v1", {"expectile": 0.9, "beta": 10.0}),
    ],
)
def test_tuned_values(name, dataset, values):
    found = tuned_values(SHIPPED[name], dataset)
    assert {path: found.get(path) for path in values} == values
    assert bool(found) == bool(values)
