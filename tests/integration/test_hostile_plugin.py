"""A plugin in a real process that does what it should not at import."""

import pytest
from worlds import zoo


@pytest.fixture
def hostile(world, monkeypatch):
    """Installs a plugin with this source next to the leaderboard's."""
    monkeypatch.setenv("ZOO_PLUGINS", "leaderboard,hostile")
    site = world.parent / "site"
    info = site / "zoo_hostile-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-hostile\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoo]\nhostile = zoo_hostile\n")

    def run(source, *arguments, **variables):
        (site / "zoo_hostile.py").write_text(source)
        return zoo(*arguments, cwd=world, **variables)

    return run


def test_its_noise_is_not_in_a_commands_output(hostile):
    noise = "import os, sys\nprint('noise')\nos.write(1, b'raw noise\\n')\nsys.stdout.close()\n"
    done = hostile(noise, "plugins")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("plugin ")
    assert "noise" not in done.stdout
    assert {"noise", "raw noise"} <= set(done.stderr.splitlines())


def test_its_hang_is_a_failure_of_its_own(hostile):
    done = hostile("while True: pass", "plugins", ZOO_PLUGIN_SECONDS="0.3")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if "zoo_hostile" in line]
    assert "zoo-hostile 1.0" in line
    assert "ZOO_PLUGIN_SECONDS" in line


def test_its_crash_names_its_file(hostile):
    done = hostile("import ctypes\nctypes.string_at(0)\n", "plugins")
    assert done.returncode != 0
    assert "zoo_hostile.py" in done.stderr
