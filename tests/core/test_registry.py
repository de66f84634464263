import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import click
import pytest

from zoo_core import Config, UnknownName, hookimpl, registry
from zoo_core.builtin import twin_q
from zoo_core.registry import Plugin, Registry
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
