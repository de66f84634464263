"""What code a result came from: hashes of syntax trees, so that comments and docs do not matter.

An algorithm's source is that of the whole package that registers it and of every part and loss
that it uses. What lies in zoo_core is hashed module by module for the built-in parts, and covered
for the rest by `zoo_core.SEMANTICS`, a number raised whenever training results can change.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo_core.recipe import Recipe
from zoo_core.registry import Registered, Registry

CORE = "zoo_core"
REMARKS = {"tuning_evaluations", "tuning_source"}
"""Fields of an `AlgorithmSpec` that no result depends on: what a search cost may be told later
without making results stale."""


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any) -> str:
    """32 hexadecimal digits of the SHA-256 of a JSON value's canonical text."""
    return digest_of_text(canonical(value))


def digest_of_text(text: str) -> str:
    """32 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def syntax(source: str) -> str:
    """The meaning of Python source as text: its tree without docstrings, comments or layout.

    Empty fields are left out, so that the text does not change when a newer Python adds a field.

    Raises:
        SyntaxError: `source` is not Python.
    """
    return _dump(ast.parse(source))


def _dump(node: Any) -> str:
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AlgorithmSpec"):
        told = [keyword for keyword in node.keywords if keyword.arg not in REMARKS]
        node = ast.Call(node.func, node.args, told)
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_dump(value)}"
            for name, value in ast.iter_fields(node)
            # `kind` marks u"..." and type comments are comments: neither has a meaning.
            if name not in {"kind", "type_comment"} and value is not None and value != []
        ]
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return "[" + ",".join(_dump(item) for item in node if not _is_text(item)) + "]"
    return repr(node)


def _is_text(node: Any) -> bool:
    """Whether a statement is a bare string: a docstring or a field's description."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def files_digest(files: Iterable[tuple[str, Path]]) -> str:
    """A hash of (name, Python file) pairs in the order of their names."""
    sha = hashlib.sha256()
    for name, path in sorted(files):
        source = path.read_bytes()
        try:
            meaning = syntax(source.decode())
        except (SyntaxError, ValueError):
            # A template or broken file in a package: every byte may matter.
            meaning = hashlib.sha256(source).hexdigest()
        sha.update(f"{name}\0{meaning}\0".encode())
    return sha.hexdigest()[:16]


@functools.cache
def source_digest(module: str) -> str:
    """The hash of the code that `module` stands for, read once a process.

    That is the module's whole top-level package, or for zoo_core, which `SEMANTICS` covers, the
    module alone.
    """
    if _in_core(module):
        return files_digest([(module, _origin(module))])
    top = module.partition(".")[0]
    origin = _origin(top)
    if origin.name != "__init__.py":
        return files_digest([(top, origin)])
    root = origin.parent
    return files_digest((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py"))


def _origin(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.origin and spec.origin.endswith(".py"):
        return Path(spec.origin)
    if spec is not None and spec.submodule_search_locations:
        # A package without __init__.py: any name in its folder serves to find the folder.
        return Path(next(iter(spec.submodule_search_locations))) / "__init__.py"
    raise FileNotFoundError(f"module {module} has no Python source")


def _modules(registered: Registered[Any]) -> set[str]:
    """What to hash for a spec: the plugin's package and that which defines it, or for the core's
    own the modules of its settings and of its function."""
    spec = registered.spec
    defining = {spec.config.__module__, getattr(getattr(spec, "build", None), "__module__", CORE)}
    if _in_core(registered.plugin.module):
        # The registering module only lists the built-ins, and zoo_core itself holds nothing.
        return defining - {CORE}
    packages = {module.partition(".")[0] for module in (*defining, registered.plugin.module)}
    return {package for package in packages if package not in {CORE, "functools", "builtins"}}


def _in_core(module: str) -> bool:
    return module == CORE or module.startswith(CORE + ".")


def sources(recipe: Recipe, registry: Registry) -> dict[str, str]:
    """The hash of each module or package whose code the recipe runs, by its name."""
    parts: dict[str, Registered[Any]] = {**registry.samplers, **registry.critics}
    used: list[Registered[Any]] = [registry.algorithms[recipe.name]]
    used += [parts[part.spec.name] for part in recipe.parts.values()]
    used += [registry.losses[loss.spec.name] for loss in recipe.losses.values()]
    modules = set().union(*(_modules(registered) for registered in used))
    return {module: source_digest(module) for module in sorted(modules)}
