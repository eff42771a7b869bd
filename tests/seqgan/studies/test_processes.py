"""What passes through the scripts that start others: output, exit statuses and signals."""

import os
import signal
import subprocess
import sys

import pytest

from seqgan.studies import processes
from tests.tiny_run import ROOT

# Says where it is, counts the signals that it gets until nothing more comes, and ends as `train` does.
CHILD = """
import os, signal, sys, time
got = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: got.append(number))
print("out of reach of the terminal:", os.getpgrp() == os.getpid(), flush=True)
deadline = time.monotonic() + 20
while not got and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.2)
print(len(got), "signals", file=sys.stderr)
sys.exit(128 + got[0] if got and {heed} else 0)
"""
PARENT = """
import sys
from seqgan.studies import processes
sys.exit(processes.main("parent", lambda: processes.call("-c", sys.argv[1])))
"""


def parent(child):
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, child],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("heed", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_a_signal_reaches_the_command_once_and_its_end_is_waited_for(number, send, heed):
    process = parent(CHILD.format(heed=heed))
    assert process.stdout.readline() == "out of reach of the terminal: True\n"
    send(process.pid, number)
    assert (
        process.communicate(timeout=30)[1] == "1 signals\n"
    )  # also where the terminal tells the whole group
    assert process.returncode == 128 + number


@pytest.mark.parametrize(
    ("child", "status"),
    [("", 0), ("raise SystemExit(2)", 2), ("import os; os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_the_exit_status_is_that_of_the_command(child, status):
    process = parent(child)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == status


def test_what_a_command_prints_is_shown_or_dropped(capfd):
    command = ("-c", "import sys; print('report'); print('warning', file=sys.stderr)")
    processes.call(*command)
    assert capfd.readouterr() == ("report\n", "warning\n")
    processes.call(*command, show=False)
    assert capfd.readouterr() == ("", "warning\n")


def test_handlers_are_put_back_and_errors_are_one_line(capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(processes.Stopped, match="exit status 3"):
        processes.call("-c", "raise SystemExit(3)")
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert before == after

    def fail(error):
        raise error

    assert processes.main("name", lambda: fail(ValueError("two\nlines"))) == 2
    assert processes.main("name", lambda: fail(KeyboardInterrupt())) == 130
    assert processes.main("name", lambda: fail(processes.Stopped(143))) == 143
    assert capsys.readouterr() == ("", "name: error: two lines\n")
