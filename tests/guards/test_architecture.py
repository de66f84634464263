"""The rules that the folder tree promises."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import zoo_core
from zoo_core import hookspecs

ROOT = Path(__file__).parent.parent.parent
PLUGINS = sorted(p for p in (ROOT / "plugins").glob("zoo-*") if p.name != "zoo-all")
NEEDS_CHECKOUT = pytest.mark.skipif(not PLUGINS, reason="needs the project's checkout")


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder):
    return [file for file in folder.rglob("*.py") if "tests" not in file.parts]


@pytest.mark.parametrize("file", modules(ROOT / "zoo_core"), ids=lambda f: f.name)
def test_the_core_knows_tensors_and_not_environments(file):
    for name in imports(file):
        top = name.partition(".")[0]
        assert top not in {"zoo_leaderboard", "gymnasium", "minari", "pandas", "seaborn"}
        assert not re.match(r"zoo_(?!core)", top), f"{file} imports {name}"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_imports_public_names_of_the_core_only(plugin):
    own = plugin.name.replace("-", "_")
    for file in modules(plugin):
        for name in imports(file):
            top = name.partition(".")[0]
            if top == "zoo_core":
                assert not any(part.startswith("_") for part in name.split(".")), name
                if name.count(".") == 1:
                    assert name.partition(".")[2] in zoo_core.__all__, name
            else:
                assert top == own or not top.startswith("zoo_"), f"{file} imports {name}"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_is_short(plugin):
    for file in modules(plugin):
        assert len(file.read_text().splitlines()) <= 150, file


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_is_a_distribution_of_its_own(plugin):
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    assert project["name"] == plugin.name
    assert project["entry-points"]["zoo"]
    package = plugin / plugin.name.replace("-", "_")
    assert (package / "py.typed").is_file()
    readme = (plugin / "README.md").read_text()
    assert "| setting | paper | official code | ours | reason |" in readme


@NEEDS_CHECKOUT
def test_zoo_all_depends_on_every_distribution():
    listed = tomllib.loads((ROOT / "plugins" / "zoo-all" / "pyproject.toml").read_text())
    names = {re.split(r"[<>=~ ]", need)[0] for need in listed["project"]["dependencies"]}
    assert names == {"zoo-core", "zoo-leaderboard", *(plugin.name for plugin in PLUGINS)}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_every_plugin_is_installed_typed_and_presented(plugin):
    tox = (ROOT / "tox.ini").read_text()
    package = plugin.name.replace("-", "_")
    assert f"plugins{{/}}{plugin.name}\n" in tox, "in tox.ini's product"
    assert f"plugins{{/}}{plugin.name}{{/}}{package}" in tox, "in tox.ini's mypy"
    assert f"(plugins/{plugin.name})" in (ROOT / "README.md").read_text()


@NEEDS_CHECKOUT
@pytest.mark.parametrize("name", [n for n in vars(hookspecs) if n.startswith("zoo_")])
def test_every_hook_is_documented_with_its_exact_signature(name):
    source = Path(hookspecs.__file__).read_text()
    signature = re.search(rf"def {name}\(.*?\) -> .*?:", source)[0]
    text = (ROOT / "docs" / "reference" / "hooks.md").read_text()
    assert signature in text
    assert getattr(hookspecs, name).__doc__


def test_importing_the_core_brings_nothing_slow_beside_torch():
    heavy = ["torch._dynamo", "torch._inductor", "pandas", "gymnasium", "minari", "matplotlib"]
    heavy += ["pytest", "scipy"]
    code = f"import sys, zoo_core, zoo_core.nn; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def documented(file):
    """Every public class, function and method of a file, and whether it has a docstring."""

    def walk(node, path, inherits):
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.ClassDef | ast.FunctionDef) or child.name.startswith("_"):
                continue
            overrides = any("override" in ast.dump(d) for d in child.decorator_list)
            yield f"{path}.{child.name}", bool(ast.get_docstring(child)) or overrides
            if isinstance(child, ast.ClassDef):
                yield from walk(child, f"{path}.{child.name}", bool(child.bases))

    tree = ast.parse(file.read_text())
    yield file.name, bool(ast.get_docstring(tree)) or not tree.body
    yield from walk(tree, file.name, False)


@pytest.mark.parametrize(
    "file",
    [*modules(ROOT / "zoo_core"), *modules(ROOT / "plugins"), *modules(ROOT / "leaderboard")],
    ids=lambda f: f"{f.parent.name}/{f.name}",
)
def test_everything_public_has_a_docstring(file):
    assert [name for name, has in documented(file) if not has] == []
