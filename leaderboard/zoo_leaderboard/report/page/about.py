"""What the pages say of an algorithm: that of `zoo show`, or that it is not installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from zoo_core.errors import ZooError
from zoo_core.recipe import Recipe, resolve
from zoo_core.registry import Plugin, Registry
from zoo_core.show import act_text, stage_lines, value_text
from zoo_core.specs import AlgorithmSpec

ABSENT = "not installed"
"""The family and the plugin of an algorithm that only has results here."""


@dataclass(frozen=True)
class About:
    """An algorithm as it is installed here."""

    name: str
    spec: AlgorithmSpec | None = None
    plugin: Plugin | None = None
    recipe: Recipe | None = None
    """None where it is not installed, or broken."""
    problem: str = ""
    """Why there is no recipe."""

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        return self.spec.summary if self.spec else ""

    @property
    def family(self) -> str:
        """The word to filter by."""
        return str(self.spec.family) if self.spec else ABSENT

    @property
    def plugin_name(self) -> str:
        """The distribution that it comes from."""
        return self.plugin.distribution if self.plugin else ABSENT

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Every setting's default by path."""
        return self.recipe.values() if self.recipe else {}

    @property
    def parts(self) -> list[tuple[str, str, str]]:
        """Path, name and source of each part."""
        parts = self.recipe.parts.items() if self.recipe else ()
        return [(path, bound.spec.name, bound.spec.cite or "") for path, bound in parts]

    @property
    def stages(self) -> list[tuple[str, str]]:
        """Title and lines of each stage."""
        if self.recipe is None:
            return []
        found = []
        for stage in self.recipe.stages:
            first, *lines = stage_lines(self.recipe, stage)
            found.append((first, "\n".join(line.removeprefix("  ") for line in lines)))
        return found

    @property
    def acts(self) -> list[tuple[str, str]]:
        """Name and meaning of each way of acting; the headline first."""
        acts = self.recipe.acts if self.recipe else ()
        return [(act.name, act_text(act)) for act in acts]

    @property
    def settings(self) -> list[tuple[str, str, str, str]]:
        """Path, default, the paper's value, and meaning of each setting."""
        if self.recipe is None or self.spec is None:
            return []
        paper = self.spec.paper
        return [
            (
                path,
                value_text(setting.value),
                value_text(paper[path]) if path in paper else "",
                setting.meaning,
            )
            for path, setting in self.recipe.settings.items()
        ]

    @property
    def tuned(self) -> list[tuple[str, str]]:
        """The paper's values by dataset pattern."""
        tuned = self.spec.tuned.items() if self.spec else ()
        return [
            (pattern, ", ".join(f"{path}={value_text(value)}" for path, value in values.items()))
            for pattern, values in tuned
        ]


def about(name: str, registry: Registry) -> About:
    """What is known here of an algorithm; a broken one costs its own page alone."""
    found = registry.algorithms.get(name)
    if found is None:
        return About(name, problem="its plugin is not installed where this page was made")
    try:
        return About(name, found.spec, found.plugin, resolve(name, registry=registry))
    except ZooError as error:
        return About(name, found.spec, found.plugin, problem=str(error))


def web_address(text: str) -> str:
    """An address that may become a link; empty for any but http and https."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in {"http", "https"} and parts.netloc else ""
