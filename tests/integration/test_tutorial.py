"""Every block of the tutorial runs, in order, in one process and a folder of its own; and so do
the Python examples of the other pages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "first_plugin.md"
PAGES = [*ROOT.glob("docs/how-to/*.md"), *ROOT.glob("plugins/*/README.md")]
BLOCK = re.compile(r"^```(\w+) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAGE.is_file(), reason="needs the project's checkout"),
]


def run(folder, *arguments):
    """This file as a program, in a folder of its own."""
    pytest.importorskip("zoo_leaderboard")
    work, site = folder / "work", folder / "site"
    work.mkdir()
    environment = {
        **os.environ,
        # The folder first, as an editable installation has it; `site` holds the entry point.
        "PYTHONPATH": os.pathsep.join([str(work), str(site), os.environ.get("PYTHONPATH", "")]),
        "ZOO_HOME": str(folder / "home"),
        "MINARI_DATASETS_PATH": str(folder / "minari"),
        "OMP_NUM_THREADS": "1",
    }
    for variable in ("ZOO_PLUGINS", "ZOO_DISABLE_PLUGINS", "ZOO_RUNS"):
        environment.pop(variable, None)
    command = [sys.executable, __file__, str(site), *map(str, arguments)]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial_runs(tmp_path):
    output = run(tmp_path, PAGE)
    assert re.search(r"^mine +zoo-mine +0.1.0 +algorithms +mine$", output, re.MULTILINE)
    for name in ("mine", "better_nll", "laplace"):
        assert f"{name}: all checks hold" in output
    assert output.count("after 100 steps") == 2
    assert "3 to run" in output


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_examples_run(page, tmp_path):
    if "```python" not in page.read_text():
        pytest.skip("it has no Python")
    run(tmp_path, page, "examples")


def run_zoo(arguments):
    from zoo_core import cli

    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert not end.value.code, f"zoo {' '.join(arguments)}: exit code {end.value.code}"


def forget_plugins():
    """Makes the next command import the plugin's code as it is now."""
    from zoo_core import registry

    registry.installed.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_mine"]:
        del sys.modules[name]


def run_line(line, site):
    program, *arguments = line.split()
    if program == "zoo":
        forget_plugins()
        run_zoo(arguments)
    elif program == "pytest":
        forget_plugins()
        assert pytest.main(["-q", "-p", "no:cacheprovider", *arguments]) == 0
    elif program == "pip":
        assert arguments == ["install", "-e", "."], line
        options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
        pip = [sys.executable, "-m", "pip", "install", *options, "--target", site, "."]
        subprocess.run(pip, check=True)
        # What is installed was listed when the process began.
        sys.path_importer_cache.clear()
    else:
        subprocess.run(line, shell=True, check=True)


def run_page(page, site):
    seen = set()
    for language, info, text in BLOCK.findall(Path(page).read_text()):
        action, _, file = info.strip().partition("=")
        print(f"--- {language} {info}", flush=True)
        seen.add(language)
        if action in {"file", "append"}:
            path = Path(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((path.read_text() if action == "append" else "") + text)
        elif language == "python" and action == "run":
            forget_plugins()
            exec(compile(text, page, "exec"), {"__name__": "tutorial"})
        elif language == "bash":
            for line in filter(None, map(str.strip, text.splitlines())):
                print(f"$ {line}", flush=True)
                run_line(line, site)
        else:
            raise AssertionError(f"a block that nothing runs: {language} {info}")
    assert seen == {"bash", "python", "toml"}


def run_examples(page):
    """The Python blocks, one after the other; a TOML block is the file `mine.toml`."""
    names = {"__name__": "example"}
    for language, _, text in BLOCK.findall(Path(page).read_text()):
        if language == "toml":
            Path("mine.toml").write_text(text)
        elif language == "python":
            print(f"--- {text}", flush=True)
            exec(compile(text, page, "exec"), names)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        run_page(sys.argv[2], sys.argv[1])
    else:
        run_examples(sys.argv[2])
