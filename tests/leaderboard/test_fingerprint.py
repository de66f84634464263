import gc
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import zoo_trouble
from worlds import BANDIT

from zoo_core import load
from zoo_core.recipe import resolve
from zoo_core.registry import Plugin
from zoo_leaderboard.fingerprint import digest, files_digest, source_digest, sources, syntax
from zoo_leaderboard.planning import plan
from zoo_leaderboard.track import Track

CODE = '''
"""A module."""
class A:
    """What it is."""
    x: int = 1
    """What x is."""
    def f(self):
        return "text"  # why
'''
SAME = """
class A:
    x: int = 1
    def f(self):

        return ("text")
"""


def test_docstrings_comments_and_layout_do_not_matter():
    assert syntax(CODE) == syntax(SAME)


@pytest.mark.parametrize(
    ("old", "new"), [("x: int = 1", "x: int = 2"), ('"text"', '"other"'), ("def f", "def g")]
)
def test_code_matters(old, new):
    assert syntax(CODE) != syntax(CODE.replace(old, new))


def test_what_a_search_cost_is_no_ingredient():
    plain = "SPEC = AlgorithmSpec(name='a', tuned=TUNED)"
    told = plain.removesuffix(")") + ", tuning_evaluations={'*': 9}, tuning_source='b')"
    assert syntax(told) == syntax(plain)
    assert syntax(told.replace("AlgorithmSpec", "zoo_core.AlgorithmSpec")) == syntax(
        plain.replace("AlgorithmSpec", "zoo_core.AlgorithmSpec")
    )
    assert syntax(told.replace("AlgorithmSpec", "other")) != syntax(
        plain.replace("AlgorithmSpec", "other")
    )
    assert syntax(plain) != syntax(plain.replace("TUNED", "OTHER"))


def test_constants_of_different_types_differ():
    assert syntax("x = 1") != syntax("x = 1.0") != syntax("x = True")


def test_files_count_by_name_and_broken_ones_by_their_bytes(tmp_path):
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("x = 1")
    two.write_text("y = 2")
    assert files_digest([("a", one), ("b", two)]) == files_digest([("b", two), ("a", one)])
    assert files_digest([("a", one), ("b", two)]) != files_digest([("b", one), ("a", two)])
    before = files_digest([("a", one)])
    one.write_text("x = = 1")
    broken = files_digest([("a", one)])
    one.write_text("x = = 1  # really")
    assert len({before, broken, files_digest([("a", one)])}) == 3


def test_a_package_counts_as_a_whole(tmp_path, monkeypatch):
    package = tmp_path / "made_up_plugin"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "helper.py").write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    before = source_digest("made_up_plugin.inner.helper")
    assert source_digest("made_up_plugin") == before
    (package / "inner" / "helper.py").write_text("x = 2")
    assert source_digest("made_up_plugin") != before
    assert "made_up_plugin" not in sys.modules


def registry():
    found = load(only=())
    found.add(zoo_trouble, Plugin("trouble", "zoo-trouble", "1.0", "zoo_trouble"))
    assert not found.failures
    return found


def test_the_plugin_and_every_part_and_loss_that_it_uses_count():
    known = registry()
    used = sources(resolve("steady", registry=known), known)
    assert set(used) == {"zoo_trouble", "zoo_core.builtin.deterministic"}
    swapped = sources(resolve("steady", ["sampler=gaussian"], registry=known), known)
    assert set(swapped) == {"zoo_trouble", "zoo_core.builtin.gaussian"}
    other = sources(resolve("steady", ["train.actor.trouble_steady=nll"], registry=known), known)
    assert "zoo_core.builtin.nll" in other


def test_what_has_no_source_is_reported():
    with pytest.raises(FileNotFoundError, match="no Python source"):
        source_digest("no_such_module_anywhere")


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.5})
    assert len(digest({})) == 32


def test_shared_settings_of_the_core_do_not_hide_the_plugin():
    known = registry()
    assert known.algorithms["outsider"].spec.config.__module__.startswith("zoo_core")
    assert "zoo_trouble" in sources(resolve("outsider", registry=known), known)


def test_a_jobs_key_is_the_hash_of_its_ingredients(world):
    track = Track(name="t", summary="", datasets=[BANDIT], defaults={"steps": 10})
    jobs = plan(track, algorithms=["steady", "draws"], seeds=[0, 7])
    for job in jobs:
        assert job.key == digest(job.ingredients.model_dump(mode="json"))
        assert job.ingredients.seed == job.cell.seed
    assert len({job.key for job in jobs}) == 4


def test_several_threads_read_sources_at_once():
    """A garbage collection lets another thread run in the middle of building a tree."""
    source = "\n".join(f"def f{i}(x):\n    return [x + {i}, {{'a': (x, {i})}}]" for i in range(300))
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()

    def switch(*_):
        time.sleep(0)

    gc.callbacks.append(switch)
    gc.set_threshold(50)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            trees = list(pool.map(syntax, [source] * 12))
    finally:
        gc.callbacks.remove(switch)
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)
    assert len(set(trees)) == 1
