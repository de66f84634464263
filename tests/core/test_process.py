"""A guarded call leaves the process unchanged, regardless of the plugin's code."""

import builtins
import contextlib
import io
import locale
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch

from zoo_core import schedules
from zoo_core.errors import ZooError
from zoo_core.process import TimeUp, functions_unchanged, guarded, seconds_allowed
from zoo_core.process.call import PROBES, ProcessExit

entered = contextlib.ExitStack().enter_context
"""Enters a context that is never left."""

CHANGES = {
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's inference mode": lambda: entered(torch.inference_mode()),
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's contexts": lambda: torch.set_default_device("meta"),
    "torch's contexts (modes)": lambda: entered(torch.device("meta")),
    "torch's autocast": lambda: entered(torch.autocast("cpu")),
    "torch's anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "torch's deterministic": lambda: torch.set_deterministic_debug_mode("warn"),
    "torch's float32 precision": lambda: torch.set_float32_matmul_precision("medium"),
    "torch.backends.cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "torch.backends.mkldnn.enabled": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "torch's flushing": lambda: torch.set_flush_denormal(True),
    "torch's threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's hooks": lambda: torch.nn.modules.module.register_module_forward_hook(print),
    "torch's random state": lambda: torch.manual_seed(7),
    "numpy's random state": lambda: np.random.random(),
    "numpy's error state": lambda: np.seterr(all="raise"),
    "torch's print options (precision)": lambda: torch.set_printoptions(precision=9),
    "sys.stdin": lambda: setattr(sys, "stdin", io.StringIO()),
    "numpy's print options": lambda: np.set_printoptions(precision=2),
    "Python's random state": lambda: random.seed(0),
    "environment variables (ZOO_TEST_A)": lambda: os.environ.update(ZOO_TEST_A="1"),
    "environment variables (PATH)": lambda: os.environ.pop("PATH"),
    "the working folder": lambda: os.chdir("/"),
    "the umask": lambda: os.umask(0),
    "signal handlers (SIGINT)": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    "timers (ITIMER_REAL)": lambda: signal.alarm(1),
    "blocked signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
    "the recursion limit": lambda: sys.setrecursionlimit(5000),
    "sys.path": lambda: sys.path.insert(0, "/zoo-test"),
    "sys.argv": lambda: sys.argv.append("--x"),
    "sys.excepthook": lambda: setattr(sys, "excepthook", print),
    "threading.excepthook": lambda: setattr(threading, "excepthook", print),
    "builtins (print)": lambda: setattr(builtins, "print", len),
    "warning filters": lambda: warnings.simplefilter("error"),
    "the root logger": lambda: logging.getLogger().addHandler(logging.NullHandler()),
    "the locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "multiprocessing's": lambda: multiprocessing.set_start_method("spawn", force=True),
    "sys.stdout": lambda: setattr(sys, "stdout", io.StringIO()),
    "sys.stderr": lambda: setattr(sys, "stderr", None),
}


def settings():
    """The current state of every guarded setting."""
    values = [(probe, probe.value()) for probe in PROBES]
    return lambda: [probe.name for probe, value in values if probe.undo(value)]


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_call_changes_is_named_and_undone(name):
    changed, streams = settings(), (sys.stdout, sys.stderr)
    outcome = guarded(CHANGES[name], 60.0)
    assert outcome.error is None
    assert any(change.startswith(name.partition(" (modes")[0]) for change in outcome.changes)
    assert changed() == []
    assert (sys.stdout, sys.stderr) == streams


REPLACED = {
    "torch.relu": (torch, "relu"),
    "torch.Tensor.mean": (torch.Tensor, "mean"),
    "torch.nn.modules.linear.Linear.reset_parameters": (torch.nn.Linear, "reset_parameters"),
    "torch.nn.modules.linear.Linear.__call__": (torch.nn.Linear, "__call__"),
    "numpy.exp": (np, "exp"),
    "time.time": (time, "time"),
    "zoo_core.schedules.value_at": (schedules, "value_at"),
}


@pytest.mark.parametrize("name", REPLACED)
def test_a_replaced_function_is_named_and_put_back(name):
    owner, attribute = REPLACED[name]
    function, own = getattr(owner, attribute), attribute in vars(owner)
    with functions_unchanged() as replaced:
        setattr(owner, attribute, abs)
        torch.something_new = 5
    del torch.something_new
    assert replaced == [f"functions of shared modules ({name})"]
    assert getattr(owner, attribute) is function
    assert (attribute in vars(owner)) == own


def test_what_torch_wraps_for_its_compiler_stays(monkeypatch):
    wrapped = torch._disable_dynamo(torch.nn.init.zeros_)
    with functions_unchanged() as replaced:
        monkeypatch.setattr(torch.nn.init, "zeros_", wrapped)
    assert replaced == []
    assert torch.nn.init.zeros_ is wrapped


def test_what_changes_nothing_is_said_to_change_nothing():
    assert guarded(lambda: 5, 60.0).changes == ()
    assert guarded(lambda: 5).value == 5


def test_arithmetic_is_as_before():
    weight = torch.ones(1, requires_grad=True)
    tiny = torch.tensor([1e-39])

    def all_at_once():
        entered(torch.inference_mode())
        torch.set_default_dtype(torch.float64)
        torch.set_flush_denormal(True)
        torch.set_default_device("meta")

    guarded(all_at_once)
    assert (weight * 2).requires_grad
    assert torch.zeros(1).dtype == torch.float32
    assert torch.zeros(1).device.type == "cpu"
    assert (tiny * 0.5).item() > 0.0


def test_added_folders_hide_no_other_module_and_stay():
    guarded(lambda: sys.path.insert(0, "/zoo-test"))
    try:
        assert sys.path[-1] == "/zoo-test"
        assert guarded(lambda: sys.path.append("/zoo-test-2")).changes == ()
        assert sys.path[-1] == "/zoo-test-2"
    finally:
        sys.path[:] = [folder for folder in sys.path if not folder.startswith("/zoo-test")]


def test_a_filter_of_some_warnings_stays():
    with warnings.catch_warnings():
        outcome = guarded(lambda: warnings.filterwarnings("ignore", "about nothing"))
        assert outcome.changes == ()
        assert warnings.filters[0][1].pattern == "about nothing"


def test_a_callers_output_is_its_own(capfd):
    def noisy():
        print("from python")
        os.write(1, b"from a descriptor\n")
        subprocess.run(["echo", "from a child"], check=True)

    print("before")
    guarded(noisy)
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert {"from python", "from a descriptor", "from a child"} <= set(err.splitlines())


def swallowing(exception):
    while True:
        with contextlib.suppress(exception):
            time.sleep(10)


def nested():
    while True:
        try:
            swallowing(BaseException)
        except:  # noqa: E722
            time.sleep(0.001)


def endless():
    while True:
        pass


def ignoring():
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    time.sleep(10)


def masking():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(10)


def stopping_timers():
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    swallowing(BaseException)


@pytest.mark.parametrize(
    "call",
    [
        *(endless, nested, ignoring, masking, stopping_timers),
        *(lambda: time.sleep(10), lambda: swallowing(Exception)),
    ],
)
def test_what_never_ends_is_ended(call):
    began = time.monotonic()
    outcome = guarded(call, 0.05)
    assert isinstance(outcome.error, TimeUp)
    assert time.monotonic() - began < 8.0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert guarded(lambda: 5, 60.0).value == 5


@pytest.mark.parametrize("call", [endless, lambda: time.sleep(3)])
def test_other_threads_have_the_limit_too(call):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(guarded(call, 0.05)))
    thread.start()
    thread.join(10.0)
    assert isinstance(outcomes[0].error, TimeUp)


def raising(error):
    raise error


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: sys.exit(3), SystemExit),
        (lambda: raising(KeyboardInterrupt()), KeyboardInterrupt),
        (lambda: raising(GeneratorExit()), GeneratorExit),
        (lambda: os._exit(3), ProcessExit),
        (lambda: os.abort(), ProcessExit),
        (lambda: os.execvp("true", ["true"]), ProcessExit),
        (lambda: (lambda f: f(f))(lambda f: f(f)), RecursionError),
    ],
)
def test_whatever_is_raised_is_an_outcome(call, kind):
    assert isinstance(guarded(call, 60.0).error, kind)


def test_a_forked_child_ends_as_it_likes():
    def fork():
        child = os.fork()
        if child == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert guarded(fork, 60.0).value == 7


@pytest.mark.parametrize("caught", [False, True])
def test_the_users_interrupt_is_no_failure_of_the_plugin(caught):
    def interrupted():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except BaseException:
            if not caught:
                raise

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupted, 60.0)


def test_an_alarm_of_the_host_still_rings():
    rung = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        guarded(lambda: time.sleep(0.1), 60.0)
        time.sleep(0.05)
        assert rung == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_an_alarm_of_the_plugin_ends_nothing():
    def alarmed():
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        time.sleep(0.02)
        return 5

    assert guarded(alarmed, 60.0).value == 5


def test_a_plugins_alarm_stops_none_of_the_hosts():
    rung = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        outcome = guarded(lambda: signal.alarm(0), 60.0)
        assert outcome.changes == ("timers (ITIMER_REAL)",)
        assert rung == []
        time.sleep(0.3)
        assert rung == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("number", [1, 2])
def test_a_closed_descriptor_is_named_and_opened(number, capfd):
    outcome = guarded(lambda: os.close(number), 60.0)
    assert outcome.changes == (f"descriptor {number} (closed)",)
    os.write(number, b"open")
    assert capfd.readouterr()[number - 1] == "open"


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 60.0), ("2.5", 2.5), ("0", None), ("inf", None), (" 7 ", 7.0)]
)
def test_the_limit_is_a_variable(monkeypatch, text, seconds):
    monkeypatch.setenv("ZOO_PLUGIN_SECONDS", text)
    assert seconds_allowed() == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, text):
    monkeypatch.setenv("ZOO_PLUGIN_SECONDS", text)
    with pytest.raises(ZooError, match="ZOO_PLUGIN_SECONDS"):
        seconds_allowed()
