import random
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import click
import numpy as np
import pytest
import torch

from zoo_core import BrokenPlugin, Config, UnknownName, cli, hookimpl, registry, resolve
from zoo_core.builtin import twin_q
from zoo_core.registry import Plugin, Registry
from zoo_core.show import plugins_page
from zoo_core.specs import CriticSpec, LossSpec, SamplerSpec


class Point:
    """An entry point of a distribution that need not be installed."""

    def __init__(self, name, module, distribution):
        self.name, self.module, self.group = name, module, "zoo"
        self.dist = SimpleNamespace(name=distribution, version="1.2")

    def load(self):
        return EntryPoint(self.name, self.module, "zoo").load()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(name, source, distribution=None):
        (tmp_path / f"{name}.py").write_text(source)
        sys.modules.pop(name, None)
        written.append(name)
        return Point(name, name, distribution or f"dist-{name}")

    yield write
    for name in written:
        sys.modules.pop(name, None)


GOOD = """
from zoo_core import hookimpl
from zoo_core.builtin import twin_q
import dataclasses
@hookimpl
def zoo_critics():
    yield dataclasses.replace(twin_q.SPEC, name="{name}")
"""


def reasons(loaded):
    return {failure.plugin.distribution: failure.reason for failure in loaded.failures}


def test_a_plugin_that_raises_at_import_is_reported_and_the_others_work(plugin):
    points = [
        plugin("broken", "raise ValueError('no such thing\\nsecond line')"),
        plugin("fine", GOOD.format(name="fine_q")),
    ]
    loaded = registry.load(found=points)
    assert reasons(loaded) == {"dist-broken": "import of broken raised ValueError: no such thing"}
    assert "Traceback" in loaded.failures[0].traceback
    assert "fine_q" in loaded.critics
    assert "ddpm" in loaded.samplers


def test_a_plugin_that_exits_at_import_is_reported(plugin):
    points = [plugin("leaver", "import sys; sys.exit(3)"), plugin("fine", GOOD.format(name="q"))]
    loaded = registry.load(found=points)
    assert "SystemExit" in reasons(loaded)["dist-leaver"]
    assert "q" in loaded.critics


HOSTILE = {
    "import os; os._exit(3)": "raised ProcessExit: os._exit()",
    "raise KeyboardInterrupt": "raised KeyboardInterrupt",
    "raise GeneratorExit": "raised GeneratorExit",
    "raise BaseException('x' * 1000)": "raised BaseException: xxx",
    "f = lambda: f()\nf()": "raised RecursionError",
    "while True: pass": "took longer than 1 s",
    "import time; time.sleep(1e6)": "took longer than 1 s",
    "class E(Exception):\n  def __str__(self): raise self\nraise E": "raised E",
    "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E": "raised E",
    "raise ValueError('\\x1b[2J\\x1b]0;gone\\x07')": r"raised ValueError: \x1b[2J\x1b]0;gone\x07",
}


@pytest.mark.parametrize("source", HOSTILE)
def test_whatever_an_import_does_is_one_line_and_the_others_work(plugin, monkeypatch, source):
    monkeypatch.setenv("ZOO_PLUGIN_SECONDS", "1" if "1 s" in HOSTILE[source] else "20")
    points = [plugin("hostile", source), plugin("fine", GOOD.format(name="fine_q"))]
    loaded = registry.load(found=points)
    (reason,) = reasons(loaded).values()
    assert reason.startswith("import of hostile " + HOSTILE[source])
    assert reason.isprintable() and len(reason) <= 200
    assert "fine_q" in loaded.critics
    listed = [line for line in plugins_page(loaded).splitlines() if "hostile" in line]
    assert len(listed) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import itertools; return itertools.repeat(7)", "raised ValueError: gives 10000 things"),
        ("while True: yield 7", "raised ValueError: gives 10000 things"),
        ("import time; time.sleep(1e6)", "took longer than 1 s"),
        ("yield 7; raise SystemExit", "raised SystemExit"),
        ("import os; os._exit(0)", "raised ProcessExit"),
        (
            "from zoo_core.builtin import ddpm\n    import dataclasses\n"
            "    yield dataclasses.replace(ddpm.SPEC, name='a\\x1b[31m')",
            "with the name 'a\\x1b[31m', which is not one printable word",
        ),
        (
            "from zoo_core import SamplerSpec\n    class S(SamplerSpec):\n"
            "        def __init__(self): pass\n"
            "        def __getattribute__(self, name): raise OSError(name)\n    yield S()",
            "raised OSError",
        ),
    ],
)
def test_whatever_a_hook_gives_is_one_line_and_the_others_work(plugin, monkeypatch, body, reason):
    monkeypatch.setenv("ZOO_PLUGIN_SECONDS", "1" if "sleep" in body else "20")
    source = f"from zoo_core import hookimpl\n@hookimpl\ndef zoo_samplers():\n    {body}\n"
    points = [plugin("hostile", source), plugin("fine", GOOD.format(name="fine_q"))]
    loaded = registry.load(found=points)
    assert any(reason in failure.reason for failure in loaded.failures)
    assert {failure.plugin.name for failure in loaded.failures} == {"hostile"}
    assert "fine_q" in loaded.critics


def test_a_lazy_hook_that_changes_the_process_is_named_and_still_used(plugin):
    source = "import torch\ntorch.set_default_dtype(torch.float64)\n" + GOOD.format(name="q")
    source += "    torch.set_grad_enabled(False)\n    print('noise')\n"
    loaded = registry.load(found=[plugin("global", source)])
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
    assert loaded.failures == []
    assert "q" in loaded.critics
    assert {(change.where, *change.settings) for change in loaded.changes} == {
        ("import of global", "torch's default dtype"),
        ("zoo_critics()", "torch's gradient mode"),
    }
    page = plugins_page(loaded).splitlines()
    assert "  global (dist-global 1.2): zoo_critics(): torch's gradient mode" in page


def test_random_numbers_are_the_same_with_and_without_a_plugin(plugin):
    source = "import torch, random, numpy\ntorch.manual_seed(0)\nrandom.seed(0)\n"
    source += "numpy.random.seed(0)\n" + GOOD.format(name="q")

    def drawn(points):
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)
        registry.load(found=points)
        return torch.rand(3).tolist(), random.random(), np.random.random()

    assert drawn([]) == drawn([plugin("seeds", source)])


def test_an_entry_point_that_names_nothing_is_reported():
    points = [
        EntryPoint("a", "no_such_module_at_all", "zoo"),
        EntryPoint("b", "zoo_core:no_such_name", "zoo"),
        EntryPoint("c", "not a ! module", "zoo"),
        EntryPoint("d\x1b[2J", "zoo_core.\x1b[2J", "zoo"),
    ]
    loaded = registry.load(found=points)
    assert len(loaded.failures) == 4
    assert any("'not a ! module'" in failure.reason for failure in loaded.failures)
    assert all(failure.reason.isprintable() for failure in loaded.failures)
    assert all(failure.plugin.name.isprintable() for failure in loaded.failures)


def test_a_distribution_without_name_or_version_is_loaded(plugin):
    point = plugin("fine", GOOD.format(name="fine_q"))
    point.dist = SimpleNamespace(name=None, version=None)
    loaded = registry.load(found=[point])
    assert "fine_q" in loaded.critics
    assert "unknown" in plugins_page(loaded)


@pytest.mark.parametrize("name", ["show", "check", "plugins"])
def test_the_cores_commands_cannot_be_taken(name):
    class Commands:
        @hookimpl
        def zoo_commands(self):
            return [click.Command(name)]

    loaded = Registry()
    loaded.add(Commands(), Plugin("c", "zoo-c", "1", "c"))
    assert name not in loaded.commands
    assert f"'{name}'" in loaded.failures[0].reason
    assert set(cli.cli.commands) == registry.CORE_COMMANDS


def test_the_projects_own_keep_their_names(plugin):
    points = [
        plugin("aa", GOOD.format(name="same"), "zoo-aa"),
        plugin("bb", GOOD.format(name="same"), "zoo-td3-bc"),
    ]
    loaded = registry.load(found=points)
    assert loaded.critics["same"].plugin.distribution == "zoo-td3-bc"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("torch.set_default_dtype(torch.float64)", ""),
        ("raise SystemExit(3)", "algorithm 'mine' raised SystemExit"),
        ("os._exit(3)", "algorithm 'mine' raised ProcessExit"),
        ("time.sleep(1e6)", "algorithm 'mine' took longer than 1 s"),
    ],
)
def test_an_algorithm_that_is_asked_for_its_parts_leaves_the_process(
    plugin, monkeypatch, body, message
):
    monkeypatch.setenv("ZOO_PLUGIN_SECONDS", "1" if "sleep" in body else "20")
    source = f"""
import os, time, torch
from zoo_core import *
from zoo_core import hookimpl
def parts(config):
    {body}
    return {{"sampler": Part("gaussian")}}
def stages(config):
    return (Stage("train", config.steps, (Update("a", {{"sampler": Adam()}}, (Term("nll"),)),)),)
@hookimpl
def zoo_algorithms():
    cite = Citation("a", "b", 2026, "c")
    yield AlgorithmSpec("mine", AlgorithmConfig, cite, parts=parts, stages=stages,
                        acts=lambda config: (Act(),))
"""
    loaded = registry.load(found=[plugin("mine", source)])
    assert loaded.failures == []
    if message:
        with pytest.raises(BrokenPlugin, match=message):
            resolve("mine", registry=loaded)
    else:
        resolve("mine", registry=loaded)
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return 7", "zoo_samplers() raised TypeError: 'int' object is not iterable"),
        ("return ['ddpm']", "zoo_samplers() gave a str, not a SamplerSpec"),
        ("return None", "zoo_samplers() raised TypeError: 'NoneType' object is not iterable"),
        ("yield from (1 / 0 for _ in '1')", "zoo_samplers() raised ZeroDivisionError"),
    ],
)
def test_a_plugin_that_returns_rubbish_is_reported(plugin, body, reason):
    source = f"from zoo_core import hookimpl\n@hookimpl\ndef zoo_samplers():\n    {body}\n"
    points = [plugin("rubbish", source), plugin("fine", GOOD.format(name="q"))]
    loaded = registry.load(found=points)
    assert reasons(loaded)["dist-rubbish"].startswith(reason)
    assert "q" in loaded.critics


def test_one_failing_hook_leaves_the_same_plugins_other_hooks(plugin):
    source = GOOD.format(name="kept") + "\n@hookimpl\ndef zoo_losses():\n    raise OSError('x')\n"
    loaded = registry.load(found=[plugin("half", source)])
    assert "kept" in loaded.critics
    assert "zoo_losses() raised OSError" in reasons(loaded)["dist-half"]


def test_a_hook_with_unknown_arguments_is_reported(plugin):
    source = "from zoo_core import hookimpl\n@hookimpl\ndef zoo_losses(config):\n    return ()\n"
    loaded = registry.load(found=[plugin("wrong", source)])
    assert "PluginValidationError" in reasons(loaded)["dist-wrong"]


def test_an_unknown_hook_is_reported(plugin):
    source = "from zoo_core import hookimpl\n@hookimpl\ndef zoo_sampler():\n    return ()\n"
    loaded = registry.load(found=[plugin("typo", source)])
    assert "zoo_sampler" in reasons(loaded)["dist-typo"]


def test_a_clash_of_names_names_both_distributions(plugin):
    points = [
        plugin("one", GOOD.format(name="same"), "zoo-one"),
        plugin(
            "two",
            GOOD.format(name="same")
            + GOOD.format(name="other")
            .replace("def zoo_critics", "def zoo_critics_unused")
            .replace("@hookimpl", ""),
            "zoo-two",
        ),
    ]
    loaded = registry.load(found=points)
    assert loaded.critics["same"].plugin.distribution == "zoo-one"
    assert "zoo-one 1.2" in reasons(loaded)["zoo-two"]
    assert "zoo-two 1.2" in reasons(loaded)["zoo-two"]


def test_a_built_in_part_cannot_be_taken_over(plugin):
    loaded = registry.load(found=[plugin("thief", GOOD.format(name="ddpm"))])
    assert isinstance(loaded.part("ddpm"), SamplerSpec)
    assert "clashes with that of zoo-core" in reasons(loaded)["dist-thief"]


def test_plugins_can_be_limited_and_switched_off(plugin, monkeypatch):
    points = [plugin(n, GOOD.format(name=f"q_{n}"), f"zoo-{n}") for n in ("aa", "bb", "cc")]

    def critics(**options):
        loaded = registry.load(found=points, **options).critics
        return {name for name in loaded if name.startswith("q_")}

    assert critics() == {"q_aa", "q_bb", "q_cc"}
    assert critics(disable=["zoo-bb"]) == {"q_aa", "q_cc"}
    assert critics(only=["aa"]) == {"q_aa"}
    monkeypatch.setenv("ZOO_PLUGINS", "bb, zoo-cc")
    assert critics() == {"q_bb", "q_cc"}
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "cc")
    assert critics() == {"q_bb"}
    monkeypatch.setenv("ZOO_PLUGINS", "")
    assert critics() == set()


def test_a_switched_off_plugin_is_never_imported(plugin):
    points = [plugin("bomb", "raise RuntimeError('imported')")]
    assert registry.load(found=points, disable=["bomb"]).failures == []


def test_an_unknown_name_offers_the_nearest():
    loaded = registry.load(found=[])
    with pytest.raises(UnknownName, match=r"unknown loss 'nl'; did you mean 'nll'"):
        loaded.loss("nl")


def test_commands_join():
    class Commands:
        @hookimpl
        def zoo_commands(self):
            return [click.Command("hello")]

    loaded = Registry()
    loaded.add(Commands(), Plugin("c", "zoo-c", "1", "c"))
    assert list(loaded.commands) == ["hello"]


def test_a_critic_and_a_sampler_share_their_names():
    class Offers:
        @hookimpl
        def zoo_critics(self):
            return [CriticSpec("x", twin_q.TwinQConfig, twin_q.TwinQ)]

        @hookimpl
        def zoo_samplers(self):
            return [SamplerSpec("x", twin_q.TwinQConfig, twin_q.TwinQ)]

    loaded = Registry()
    loaded.add(Offers(), Plugin("c", "zoo-c", "1", "c"))
    assert len(loaded.failures) == 1


def test_a_loss_setting_that_every_term_has_is_refused():
    class Weighted(Config):
        """Settings."""

        weight: float = 1.0
        """Taken already."""

    class Offers:
        @hookimpl
        def zoo_losses(self):
            return [LossSpec("w", Weighted, lambda config: None, {})]

    loaded = Registry()
    loaded.add(Offers(), Plugin("c", "zoo-c", "1", "c"))
    assert "has a setting 'weight', which every term has" in loaded.failures[0].reason
