"""The meaning of Python source: what it does, what it imports, and which texts it holds."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from typing import Any

REMARKS = {"tuning_evaluations", "tuning_source"}
"""Fields of an `AlgorithmSpec` that no result depends on: the cost of a search may be added later
without making results stale."""


BY_NAME = {"import_module", "__import__", "files", "get_data"}
"""Functions whose first argument names a module that is imported or whose data are read."""


_PARSING = threading.Lock()
"""CPython 3.11 fails if two threads build trees at once: it keeps one depth for both."""


def _tree(source: str) -> ast.Module:
    with _PARSING:
        return ast.parse(source)


def syntax(source: str) -> str:
    """The meaning of Python source as text: its tree without docstrings, comments or layout.

    Empty fields are left out, so that the text does not change when a newer Python adds a field.

    Raises:
        SyntaxError: `source` is not Python.
    """
    return _dump(_tree(source))


def imported(source: str) -> set[str]:
    """The top-level names of the modules that Python source imports when it runs.

    Raises:
        SyntaxError: `source` is not Python.
    """
    names: set[str] = set()
    for node in _run(_tree(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
        elif isinstance(node, ast.Call) and node.args:
            function, first = ast.unparse(node.func).rpartition(".")[2], node.args[0]
            if (
                function in BY_NAME
                and isinstance(first, ast.Constant)
                and isinstance(first.value, str)
            ):
                names.add(first.value)
    return {name.partition(".")[0] for name in names} - {""}


def texts(source: str) -> set[str]:
    """The strings in Python source that are not docstrings.

    Raises:
        SyntaxError: `source` is not Python.
    """
    return {
        node.value
        for node in _run(_tree(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """A node and those below it, without docstrings and what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if _is_text(child):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from _run(other)
        else:
            yield from _run(child)


def _dump(node: Any) -> str:
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AlgorithmSpec"):
        kept = [keyword for keyword in node.keywords if keyword.arg not in REMARKS]
        node = ast.Call(node.func, node.args, kept)
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
