import dataclasses
import subprocess
import sys

import pytest

from zoo_core import cli, registry


@pytest.fixture
def zoo(capsys, monkeypatch):
    """Runs the command in this process: its exit code, what it printed, and its errors."""
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "")
    registry.installed.cache_clear()

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(list(arguments))
        printed = capsys.readouterr()
        return caught.value.code or 0, printed.out, printed.err

    yield run
    registry.installed.cache_clear()


def test_plugins_lists_what_is_installed(zoo):
    code, out, _ = zoo("plugins")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("builtin"))
    assert "zoo-core" in row
    assert "ddpm" in out
    assert "zoo-diffusion-ql" in out


def test_a_plugin_can_be_switched_off(zoo):
    assert "zoo-td3-bc" not in zoo("-p", "no:zoo-td3-bc", "plugins")[1]
    code, _, error = zoo("-p", "no:zoo-td3-bc", "show", "td3_bc")
    assert code == 2
    assert "unknown algorithm" in error


def test_show_is_one_page_on_an_algorithm(zoo):
    code, out, _ = zoo("show", "diffusion_ql")
    assert code == 0
    for expected in (
        "arXiv",
        "stage train: 2000000 steps",
        "update critic, trains critic",
        "average target.sampler: rate 0.005 every 5 steps from step 1001",
        "softmax (temperature 1) of 50 samples",
        "train.actor.q_norm.weight",
        "deviations",
        "max_q_backup=true",
    ):
        assert expected in out


def test_show_marks_what_was_changed(zoo):
    out = zoo("show", "td3_bc", "--set", "critic.hidden=64")[1]
    assert "64 (default 256)" in out


@pytest.mark.parametrize("name", ["ddpm", "twin_q", "td"])
def test_show_tells_about_parts_and_losses(zoo, name):
    code, out, _ = zoo("show", name)
    assert code == 0
    assert out.startswith(f"{name}: a ")
    assert "meaning" in out


def test_check_passes_on_a_sampler(zoo):
    code, out, _ = zoo("check", "gaussian")
    assert code == 0
    assert "gaussian: all checks hold" in out


def test_check_goes_on_after_a_plugin_that_exits(zoo, monkeypatch):
    def leaving(config):
        raise SystemExit(7)

    loaded = registry.installed()
    found = loaded.samplers["gaussian"]
    spec = dataclasses.replace(found.spec, build=lambda config, space: leaving(config))
    monkeypatch.setitem(loaded.samplers, "gaussian", dataclasses.replace(found, spec=spec))
    code, out, _ = zoo("check", "gaussian")
    assert code == 1
    assert "raised SystemExit" in out
    assert out.splitlines()[-1].startswith("gaussian: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "difusion_ql"], "did you mean 'diffusion_ql'"),
        (["check", "nothing_like_it"], "unknown algorithm, part or loss"),
        (["show", "bc", "--set", "sampler.hiden=3"], "did you mean 'sampler.hidden'"),
        (["show", "bc", "--set", "lr=-1"], "lr: input should be greater than 0"),
        (["show", "bc", "--set", "lr"], "PATH=VALUE"),
        (["shw"], "did you mean 'show'"),
        (["show"], "Missing argument"),
        (["-p", "bc", "plugins"], "no:NAME"),
    ],
)
def test_mistakes_get_one_line_and_code_2(zoo, arguments, message):
    code, out, error = zoo(*arguments)
    assert code == 2
    assert message in error
    assert error.startswith("zoo: ")
    assert error.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize("command", ["datasets", "train", "evaluate", "leaderboard"])
def test_with_the_core_alone_the_rest_say_what_to_install(zoo, monkeypatch, command):
    monkeypatch.setenv("ZOO_PLUGINS", "")
    code, _, error = zoo(command)
    assert code == 2
    assert error == f"zoo: 'zoo {command}' needs zoo-leaderboard: pip install zoo-leaderboard\n"


def test_help_lists_every_command(zoo):
    code, out, _ = zoo("--help")
    assert code == 0
    for command in ("plugins", "show", "check", "leaderboard", "train"):
        assert command in out


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "zoo_core", "show", "no_such_thing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
