"""The reference of hooks marks the required fields of every description, and names all others."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import zoo_core
from zoo_core import specs
from zoo_core.tracking import TrackerSpec

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "hooks.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="needs the project's checkout")

SECTIONS = {
    "SamplerSpec": "SamplerSpec and CriticSpec",
    "CriticSpec": "SamplerSpec and CriticSpec",
    "LossSpec": "LossSpec",
    "AlgorithmSpec": "AlgorithmSpec",
    "TrackerSpec": "TrackerSpec",
    "Act": "Act",
    "Solver": "Solver",
}
"""Descriptions with a table of fields; the others have a row."""
ROWS = (
    *("Part", "Stage", "Transitions", "Windows", "Update", "Term"),
    *("Adam", "Ema", "Schedule", "Citation", "Average"),
)


def documented(name):
    """The text that names the fields of a description: a row, or the first cells of a table."""
    text = PAGE.read_text()
    if name in ROWS:
        return re.search(rf"^\| `{name}` \| (.*) \|$", text, re.MULTILINE)[1]
    section = re.search(rf"^##+ {SECTIONS[name]}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)[
        1
    ]
    table = re.search(r"^\| field \|.*?\n\n", section, re.MULTILINE | re.DOTALL)[0]
    return "\n".join(row.split(" | ")[0] for row in table.splitlines()[2:])


def fields(name):
    """Whether each field of a description is required."""
    kind = getattr(zoo_core, name)
    if issubclass(kind, BaseModel):
        return {field: info.is_required() for field, info in kind.model_fields.items()}
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return {
            field.name: field.default is missing and field.default_factory is missing
            for field in dataclasses.fields(kind)
        }
    given = inspect.signature(kind).parameters.values()
    return {p.name: p.default is p.empty for p in given if p.kind is not p.VAR_KEYWORD}


@pytest.mark.parametrize("name", [*SECTIONS, *ROWS])
def test_required_fields_are_marked_and_all_are_named(name):
    text, known = documented(name), fields(name)
    marked = set(re.findall(r"\*\*`(\w+)`\*\*", text))
    assert marked == {field for field, required in known.items() if required}
    named = set(re.findall(r"`(\w+)`", text))
    assert set(known) <= named


def test_every_description_is_checked():
    described = {
        name
        for name, value in vars(specs).items()
        if inspect.isclass(value) and value.__module__ == specs.__name__
    }
    assert described | {TrackerSpec.__name__} <= {*SECTIONS, *ROWS}
