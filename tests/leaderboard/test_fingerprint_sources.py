"""Which files and libraries are part of a key: those that a plugin's results depend on."""

import functools
import importlib
import json
import py_compile
import sys
import textwrap
import zipfile
from types import ModuleType

import pytest

from zoo_core.recipe import resolve
from zoo_core.registry import Plugin, Registry, load
from zoo_leaderboard.fingerprint import edited, libraries, sources
from zoo_leaderboard.fingerprint.memory import defined_by, memory_digest

PLUGIN = """
from zoo_core import AlgorithmConfig, AlgorithmSpec, Act, Adam, Citation, Part, Stage, Term
from zoo_core import Update, hookimpl
{more}
def parts(config):
    return {{"sampler": Part("gaussian")}}
def stages(config):
    return (Stage("train", config.steps, (Update("a", {{"sampler": Adam()}}, (Term("nll"),)),)),)
@hookimpl
def zoo_algorithms():
    cite = Citation("a", "b", 2026, "c")
    yield AlgorithmSpec("mine", AlgorithmConfig, cite, parts=parts, stages=stages,
                        acts=lambda config: (Act(),))
"""
PACKAGE = "zoo_fp/__init__.py"
MODULE = "zoo_fp.py"


def plugin_of(more=""):
    return PLUGIN.format(more=more)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Writes files where Python finds them, and forgets modules of them afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(**files):
        for name, contents in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
        importlib.invalidate_caches()
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def registry_of(module="zoo_fp"):
    known = load(only=())
    known.add(importlib.import_module(module), Plugin("fp", "zoo-fp", "1.0", module))
    assert known.failures == []
    return known


def sources_of(known):
    libraries._distribution.cache_clear()
    return sources(resolve("mine", registry=known), known)


HELPER = "def f():\n    return 1\n"
MATTERS = {
    "a module next to the plugin": ({MODULE: plugin_of("import fp_help"), "fp_help.py": HELPER},),
    "what that imports": (
        {
            MODULE: plugin_of("from fp_first import g"),
            "fp_first.py": "from fp_help import f as g",
            "fp_help.py": HELPER,
        },
    ),
    "a package next to the plugin": (
        {PACKAGE: plugin_of("import fp_help.deep"), "fp_help/deep.py": HELPER},
        "fp_help/deep.py",
    ),
    "an import in a function": (
        {MODULE: plugin_of("def later():\n    import fp_help"), "fp_help.py": HELPER},
    ),
    "an import by name": (
        {
            MODULE: plugin_of("import importlib\nimportlib.import_module('fp_help')"),
            "fp_help.py": HELPER,
        },
    ),
    "an optional import": (
        {
            MODULE: plugin_of("try:\n    import fp_help\nexcept ImportError:\n    pass"),
            "fp_help.py": HELPER,
        },
    ),
    "a table of a package": (
        {PACKAGE: plugin_of(), "zoo_fp/data/t.json": "1"},
        "zoo_fp/data/t.json",
    ),
    "weights of a package": ({PACKAGE: plugin_of(), "zoo_fp/w.npz": b"\0\1"}, "zoo_fp/w.npz"),
    "a compiled module": ({PACKAGE: plugin_of(), "zoo_fp/fast.so": b"\x7fELF"}, "zoo_fp/fast.so"),
    "a table next to a module": (
        {MODULE: plugin_of("PLACE = 'fp_table.csv'"), "fp_table.csv": "1"},
        "fp_table.csv",
    ),
    "a table with a module's name": (
        {
            MODULE: plugin_of("from pathlib import Path\nP = Path(__file__).with_suffix('.toml')"),
            "zoo_fp.toml": "a = 1",
        },
        "zoo_fp.toml",
    ),
    "a table read by a package's name": (
        {
            MODULE: plugin_of("from importlib.resources import files\nT = files('fp_help')"),
            "fp_help/t.csv": "1",
        },
        "fp_help/t.csv",
    ),
    "a table called license plates": (
        {PACKAGE: plugin_of(), "zoo_fp/license_plates.csv": "1"},
        "zoo_fp/license_plates.csv",
    ),
    "data of a helper": (
        {PACKAGE: plugin_of("import fp_help"), "fp_help/__init__.py": "", "fp_help/t.txt": "1"},
        "fp_help/t.txt",
    ),
}


@pytest.mark.parametrize("kind", MATTERS)
def test_what_a_result_depends_on_is_in_the_key(site, kind):
    files, *changed = MATTERS[kind]
    name = changed[0] if changed else "fp_help.py"
    site(**files)
    known = registry_of()
    before = sources_of(known)
    assert sources_of(known) == before
    old = files[name] if isinstance(files[name], bytes) else files[name].encode()
    site(**{name: old.replace(b"1", b"2") if b"1" in old else old + b"2"})
    assert sources_of(known) != before


WORDS = {
    "README.md": ({PACKAGE: plugin_of(), "zoo_fp/README.md": "1"}, "zoo_fp/README.md"),
    "tests": ({PACKAGE: plugin_of(), "zoo_fp/tests/test_a.py": "1"}, "zoo_fp/tests/test_a.py"),
    "caches": (
        {PACKAGE: plugin_of(), "zoo_fp/__pycache__/a.pyc": "1"},
        "zoo_fp/__pycache__/a.pyc",
    ),
    "hidden files": ({PACKAGE: plugin_of(), "zoo_fp/.DS_Store": "1"}, "zoo_fp/.DS_Store"),
    "words of a helper": (
        {MODULE: plugin_of("import fp_help"), "fp_help.py": '"""1"""\nx = 3  # 1'},
        "fp_help.py",
    ),
    "imports for type checkers": (
        {
            MODULE: plugin_of(
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import fp_help"
            ),
            "fp_help.py": "x = 1",
        },
        "fp_help.py",
    ),
    "neighbours that are not imported": (
        {MODULE: plugin_of(), "fp_other.py": "x = 1"},
        "fp_other.py",
    ),
}


@pytest.mark.parametrize("kind", WORDS)
def test_what_no_result_depends_on_is_not_in_the_key(site, kind):
    files, name = WORDS[kind]
    site(**files)
    known = registry_of()
    before = sources_of(known)
    site(**{name: files[name].replace("1", "2")})
    assert sources_of(known) == before


def test_a_package_without_init_counts_as_a_whole(site):
    site(**{"fp_ns/plugin.py": plugin_of("from . import nets"), "fp_ns/nets.py": "x = 1"})
    known = registry_of("fp_ns.plugin")
    before = sources_of(known)
    site(**{"fp_ns/nets.py": "x = 2"})
    assert sources_of(known) != before


def test_linked_folders_count_and_loops_end(site):
    folder = site(**{PACKAGE: plugin_of(), "elsewhere/table.csv": "1"})
    (folder / "zoo_fp" / "linked").symlink_to(folder / "elsewhere")
    (folder / "elsewhere" / "loop").symlink_to(folder / "zoo_fp")
    (folder / "zoo_fp" / "dangling").symlink_to(folder / "nowhere")
    known = registry_of()
    before = sources_of(known)
    site(**{"elsewhere/table.csv": "2"})
    assert sources_of(known) != before


def test_an_archive_counts_by_its_bytes(site, monkeypatch):
    folder = site(**{"fp_zipped.py": "x = 1"})
    archive = folder / "plugin.zip"

    def packed(value):
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("zoo_fp.py", plugin_of(f"import fp_zipped\nx = {value}"))

    packed(1)
    monkeypatch.syspath_prepend(archive)
    known = registry_of()
    before = sources_of(known)
    assert {"zoo_fp", "fp_zipped"} <= set(before)
    packed(2)
    assert sources_of(known) != before


def test_a_module_without_source_counts_by_its_bytes(site):
    def compiled(value):
        folder = site(**{"fp_source.py": f"x = {value}"})
        py_compile.compile(str(folder / "fp_source.py"), str(folder / "fp_help.pyc"))
        (folder / "fp_source.py").unlink()

    compiled(1)
    site(**{MODULE: plugin_of("import fp_help")})
    known = registry_of()
    before = sources_of(known)
    assert "fp_help" in before
    compiled(2)
    assert sources_of(known) != before


def library(version, contents, **extra):
    info = f"fp_lib-{version}.dist-info"
    return {
        "fp_lib.py": contents,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: fp-lib\nVersion: {version}\n",
        f"{info}/RECORD": "fp_lib.py,,\n",
        **{f"{info}/{name.replace('__', '.')}": text for name, text in extra.items()},
    }


def test_a_released_library_counts_by_its_version(site):
    site(**{MODULE: plugin_of("import fp_lib, torch, numpy"), **library("1.0", "x = 1")})
    known = registry_of()
    before = sources_of(known)
    assert before["fp-lib"] == "version 1.0"
    assert set(before) == {"zoo_fp", "fp-lib", "zoo_core.builtin.gaussian", "zoo_core.builtin.nll"}
    folder = site(**{"fp_lib.py": "x = 1  # released again?"})
    assert sources_of(known) == before
    info = folder / "fp_lib-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fp-lib\nVersion: 1.1\n")
    assert sources_of(known)["fp-lib"] == "version 1.1"


def test_a_library_of_a_folder_counts_by_its_files(site):
    place = json.dumps({"url": "file:///somewhere", "dir_info": {}})
    site(
        **{MODULE: plugin_of("import fp_lib")},
        **library("1.0", "x = 1", direct_url__json=place),
    )
    known = registry_of()
    before = sources_of(known)
    site(**{"fp_lib.py": "x = 2"})
    assert sources_of(known)["fp_lib"] != before["fp_lib"]


def test_what_defines_a_value_is_found_behind_wrappers():
    def plain():
        pass

    @functools.wraps(plain)
    def wrapper():
        plain()

    class Callable:
        def __call__(self):
            pass

        def method(self):
            pass

    assert plain in defined_by([functools.partial(functools.partial(plain), 3)])
    assert plain in defined_by([wrapper])
    assert Callable in defined_by([Callable()])
    assert {Callable, Callable.method} <= defined_by([Callable().method])
    assert dict in defined_by([type("Child", (dict,), {})])


def live(source):
    module = ModuleType("fp_live")
    exec(compile(textwrap.dedent(source), "<cell>", "exec"), vars(module))
    return module


LIVE = """
RATE = 1
def helper(x, scale=1):
    '''Words.'''
    return x * RATE
class Net:
    '''Words.'''
    size = 1
    def forward(self):
        return helper(1)
def build(config):
    return Net()
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 1", "RATE = 2"),
        ("x * RATE", "x + RATE"),
        ("scale=1", "scale=2"),
        ("size = 1", "size = 2"),
        ("helper(1)", "helper(2)"),
        ("return Net()", "return Net"),
    ],
)
def test_code_of_a_live_session_counts_as_it_is(old, new):
    def of(source):
        return memory_digest(defined_by([live(source).build]))

    assert of(LIVE) == of(LIVE.replace("Words.", "Other words."))
    assert of(LIVE) == of("\n\n" + LIVE)
    assert of(LIVE) != of(LIVE.replace(old, new))


def test_an_algorithm_of_a_live_session_has_a_key():
    def known(rate):
        registry = load(only=())
        source = plugin_of(f"def lr():\n    return {rate}").replace("Adam()", "Adam(lr())")
        registry.add(live(source), Plugin("live", "live", "0", "fp_live"))
        return registry

    assert sources_of(known(0.1)) == sources_of(known(0.1))
    assert sources_of(known(0.1)) != sources_of(known(0.2))


def test_an_edit_after_loading_is_noticed_until_the_module_is_loaded_again(site):
    site(**{MODULE: plugin_of("import fp_help"), "fp_help.py": "x = 1"})
    registry_of()

    def loaded():
        known: Registry = load(only=())
        known.add(sys.modules["zoo_fp"], Plugin("fp", "zoo-fp", "1.0", "zoo_fp"))
        return edited(resolve("mine", registry=known), known)

    assert loaded() == []
    site(**{"fp_help.py": "x = 1"})
    assert loaded() == []
    site(**{"fp_help.py": "x = 2"})
    assert loaded() == ["fp_help"]
    importlib.reload(sys.modules["fp_help"])
    assert loaded() == []
