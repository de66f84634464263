"""What the plugins' texts tell a reader to set can be set as it is written."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from zoo_core import installed, resolve

ROOT = Path(__file__).parent.parent.parent
SPECS = {name: entry.spec for name, entry in installed().algorithms.items()}


def assignments(text):
    return [found.rstrip(".,;:)`") for found in re.findall(r"--set (\S+=\S+)", text)]


@pytest.mark.parametrize("name", sorted(SPECS))
def test_the_settings_of_a_deviation_can_be_set(name):
    for text in SPECS[name].deviations:
        # A second assignment behind one flag is what the command line refuses.
        assert not re.search(r"--set \S+=\S+,? [\w.]+=\S", text), text
        settings = assignments(text)
        values = resolve(name, settings).values()
        for path in (assignment.partition("=")[0] for assignment in settings):
            assert values[path] != resolve(name).values().get(path), f"{path} is the default"


@pytest.mark.parametrize(
    "readme", sorted((ROOT / "plugins").glob("*/README.md")), ids=lambda p: p.parent.name
)
def test_the_commands_of_a_readme_can_be_typed(readme):
    for line in re.findall(r"^    zoo (?:train|show) .+", readme.read_text(), re.MULTILINE):
        _, _, name, *rest = shlex.split(line)
        if name in SPECS:
            resolve(
                name,
                [after for flag, after in itertools.pairwise(rest) if flag == "--set"],
            )
